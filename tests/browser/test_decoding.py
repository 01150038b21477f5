"""A few hundred images of every format, mode, profile and orientation, as Chromium shows them."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext

from tests.support.decoder_fuzz import against_chromium
from tests.support.image_variants import FORMATS

CASES = 240


def test_images_are_decoded_as_chromium_shows_them(open_context: Callable[..., BrowserContext]):
    found = against_chromium(open_context().new_page(), CASES, seed=0)
    print("\n" + "\n".join(f"{name}: {k.images}, {k.largest} levels" for name, k in found.items()))
    assert {next(f for f in FORMATS[::-1] if name.startswith(f)) for name in found} == {*FORMATS}
    assert sum(kind.images for kind in found.values()) == CASES
    assert not [far for kind in found.values() for far in kind.far]
