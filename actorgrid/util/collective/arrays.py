"""Arrays of numpy, and tensors of torch that lie in this machine's memory, as numpy arrays over the same memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from actorgrid.api.basics import get, put
from actorgrid.util.collective.types import ReduceOp

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Up to so many bytes an array travels inside of messages.
SMALL: Final = 32 << 10


def array_of(tensor: Any, what: str = "tensor", *, changes: bool = False) -> Array:
    """Return ``tensor`` as an array over the same memory; ``changes``: the call writes into it.

    Raises TypeError for anything but an array or a tensor in memory, ValueError if it cannot be written and must be.
    """
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")  # whoever has an array has imported its library
    if torch is not None and isinstance(tensor, torch.Tensor):
        array: Any = _of_tensor(tensor, what)
    elif numpy is not None and isinstance(tensor, numpy.ndarray):
        array = tensor
    else:
        raise TypeError(f"{what} must be an array of numpy or a tensor of torch, not {type(tensor).__name__}")
    if array.dtype.hasobject:
        raise TypeError(f"{what} must hold numbers, not objects (dtype {array.dtype})")
    if changes and not array.flags.writeable:
        raise ValueError(
            f"{what} is read-only, and the result must be written into it: arrays that come from other processes are; "
            "take a copy"
        )
    return array  # type: ignore[no-any-return]  # torch has no types here


def _of_tensor(tensor: Any, what: str) -> Any:
    if tensor.device.type != "cpu":
        raise TypeError(f"{what} must lie in this machine's memory, not on {tensor.device}: call .cpu()")
    try:
        return tensor.detach().numpy()
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{what} cannot be seen as an array of numpy: {error}") from None


def arrays_of(tensors: Any, count: int, what: str, *, changes: bool = False) -> list[Array]:
    """Return the arrays of a list of ``count`` tensors. Raises TypeError, ValueError."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{what} must be a list of tensors, one for each member, not {type(tensors).__name__}")
    if len(tensors) != count:
        raise ValueError(f"{what} must have {count} tensors, one for each member, not {len(tensors)}")
    return [array_of(each, f"{what}[{index}]", changes=changes) for index, each in enumerate(tensors)]


def looks(arrays: list[Array]) -> tuple[str, ...]:
    """Return what all members must have in common: shapes and types, in words."""
    return tuple(f"{array.dtype}{list(array.shape)}" for array in arrays)


def packed(array: Array) -> Any:
    """Return an array in the form in which it goes to others: the bytes of a small one, a reference to a large one."""
    return array.tobytes() if array.nbytes <= SMALL else put(array)


def unpacked(found: list[Any], like: Array) -> list[Array]:
    """Return the arrays that were packed, which have the shape and type of ``like``."""
    import numpy as np  # whoever has an array has it

    if like.nbytes > SMALL:
        arrays: list[Array] = get(found)
        return arrays
    return [np.frombuffer(each, like.dtype).reshape(like.shape) for each in found]


def reduced(arrays: list[Array], op: ReduceOp) -> Array:
    """Return the arrays of all members as one. The order is that of the list, so that all get the very same."""
    import numpy as np  # whoever has an array has it

    ways: dict[ReduceOp, Any] = {
        ReduceOp.SUM: np.add, ReduceOp.PRODUCT: np.multiply, ReduceOp.MIN: np.minimum, ReduceOp.MAX: np.maximum,
    }  # fmt: skip
    result = arrays[0].copy()
    for array in arrays[1:]:
        ways[op](result, array, out=result)
    return result
