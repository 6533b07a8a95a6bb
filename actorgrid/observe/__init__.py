"""WHAT CAN BE SEEN: pure views of a grid's state."""
