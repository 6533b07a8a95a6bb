"""Pickling by value, with cloudpickle, that keeps where code was written.

From 3.1.3 on cloudpickle gives every function the file name ``<dynamic-code>``, so that equal functions of different
notebook cells pickle to equal bytes (cloudpipe/cloudpickle#538). A remote traceback without file names, and a schedule
without places, are a high price for that: here code keeps the name of its file.

A function that mentions a package goes with the submodules that it may mean. cloudpickle tries every module that is
loaded, for each function that it pickles (0.2 ms with a thousand of them); here the names are looked up.

A class with ``__slots__`` has them where it arrives, too. cloudpickle makes one without: its instances have a
``__dict__`` there, and cannot come back to where the class was written, for there they have none.
"""

from __future__ import annotations

import abc
import functools
import io
import pickle
import sys
import types
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from actorgrid.wire import by_name, custom

#: What cloudpickle writes instead of a file name.
_NOWHERE = "<dynamic-code>"


def dumps(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    """Pickle ``value``, by value what cannot be imported elsewhere; ``buffer_callback`` as in ``pickle``.

    Raises whatever the methods of its parts raise; PicklingError and TypeError are the usual ones.
    """
    pickler = _pickler()
    pickler.dispatch_table.maps[0] = custom.current
    with io.BytesIO() as file:
        pickler(file, protocol=5, buffer_callback=buffer_callback).dump(value)
        return file.getvalue()


@functools.cache
def _pickler() -> Any:
    import cloudpickle  # 25 ms of start-up that most programs never need

    table: Any = cloudpickle.Pickler.dispatch_table
    reduce_code = table[types.CodeType]

    def reduce_with_file(code: types.CodeType) -> Any:
        constructor, arguments = reduce_code(code)
        # A copy of the name: strings that are one object in this process only must not pickle as one.
        place = "".join([*code.co_filename])
        return constructor, tuple([place if isinstance(part, str) and part == _NOWHERE else part for part in arguments])

    # Two functions of the library's own with another search: nothing is replaced for others who use it.
    module: Any = sys.modules["cloudpickle.cloudpickle"]
    names = {**vars(module), "_find_imported_submodules": submodules}
    names["_function_getstate"] = types.FunctionType(module._function_getstate.__code__, names)  # noqa: SLF001  # see above
    reduce_override = cloudpickle.Pickler.reducer_override
    make_class = module._make_skeleton_class  # noqa: SLF001  # what it reduces a class to

    def is_importable(value: Any) -> bool:
        found = module._lookup_module_and_qualname(value)  # noqa: SLF001  # as it does for functions
        return found is not None and not module._is_registered_pickle_by_value(found[0])  # noqa: SLF001  # see above

    ours: dict[type[Any], Any] = {types.CodeType: reduce_with_file, **by_name.reducers(is_importable)}

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle is untyped
        dispatch_table: ClassVar[Any] = ChainMap(custom.current, ours, table)
        _dynamic_function_reduce = types.FunctionType(
            cloudpickle.Pickler._dynamic_function_reduce.__code__,  # noqa: SLF001  # see above
            names,
        )

        def reducer_override(self, value: Any) -> Any:
            reduced = reduce_override(self, value)
            if type(reduced) is tuple and reduced[0] is make_class:
                function, (metaclass, name, bases, namespace, *others), *rest = reduced
                return function, (metaclass, name, bases, {**namespace, **slots(value, bases)}, *others), *rest
            return reduced

    return Pickler


def slots(cls: type[Any], bases: tuple[Any, ...]) -> dict[str, Any]:
    """Return ``__slots__`` as a class was written with them, in a namespace; an empty one if that cannot be told.

    Nor is it if a metaclass has a say in it (that of NamedTuple, which is none of the class that it makes, among them),
    or if what stands in ``__slots__`` is not what the class has.
    """
    given = vars(cls).get("__slots__")
    if type(given) not in (str, tuple, list, dict):
        return {}
    metaclass, _, _ = types.prepare_class(cls.__name__, types.resolve_bases(bases), {"metaclass": type(cls)})
    if metaclass not in (type, abc.ABCMeta):
        return {}
    for name in [given] if isinstance(given, str) else given:
        is_private = name.startswith("__") and not name.endswith("__")
        own = f"_{cls.__name__.lstrip('_')}{name}" if is_private else name
        if name not in ("__dict__", "__weakref__") and type(vars(cls).get(own)) is not types.MemberDescriptorType:
            return {}
    return {"__slots__": given}


def submodules(code: types.CodeType, values: Iterable[Any]) -> list[types.ModuleType]:
    """Return the loaded modules that ``code`` may mean by ``package.module``, where a package is among ``values``."""
    packages = (each for each in values if isinstance(each, types.ModuleType) and getattr(each, "__package__", None))
    return [module for package in packages for module in _below(package.__name__, code.co_names)]


def _below(package: str, names: tuple[str, ...]) -> Iterator[types.ModuleType]:
    for name in names:
        full_name = f"{package}.{name}"
        module = sys.modules.get(full_name)
        if module is not None:
            yield module
            yield from _below(full_name, names)
