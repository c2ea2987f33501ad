"""Where numba looks for machine code that was compiled ahead, when the code's own folder can only be read.

numba keeps it in `__pycache__`, but passes that by where it can't write. An image names the class below in
NUMBA_CACHE_LOCATOR_CLASSES, and a folder that can be written in NUMBA_CACHE_DIR.
"""

import contextlib
from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator

__all__ = ["BroughtAlong"]


class BroughtAlong(UserProvidedCacheLocator):
    """NUMBA_CACHE_DIR, with links to what was compiled beside the source; what is compiled anew is kept there too."""

    def ensure_cache_path(self) -> None:
        """Make the folder and the links. Raises OSError, upon which numba looks elsewhere."""
        super().ensure_cache_path()  # type: ignore[no-untyped-call]  # numba has no types
        folder = Path(self.get_cache_path())  # type: ignore[no-untyped-call]
        for file in (Path(self._py_file).parent / "__pycache__").glob("*.nb[ci]"):
            with contextlib.suppress(FileExistsError):
                (folder / file.name).symlink_to(file)
