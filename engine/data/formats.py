"""Detects an image's format from its first bytes; unsupported formats get a reason."""

from __future__ import annotations

READ = "JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF or JPEG 2000"
SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF", ".avif": "AVIF", ".jp2": "JPEG2000", ".j2k": "JPEG2000",
    ".heic": "HEIF", ".heif": "HEIF",
}  # fmt: skip

_BEGINNINGS = (  # first bytes of the supported formats, with Pillow's names
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF; Pillow reads only this byte order
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_OTHERS = (  # first bytes of unsupported formats
    (b"MM\0+", "BigTIFF in big-endian order"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"\0\0\1\0", "Windows icon (ICO)"),
    (b"icns", "Apple icon (ICNS)"),
    (b"DDS ", "DDS"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"SIMPLE  =", "FITS"),
    (b"II\xbc", "JPEG XR"),
    (b"IIRO", "Olympus raw"),
    (b"IIU\0", "Panasonic raw"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"\xd7\xcd\xc6\x9a", "Windows metafile (WMF)"),
    *((b"P%d" % number, "PNM") for number in range(1, 8)),
)


class Unreadable(Exception):
    """An image that cannot be used; the message is the reason, without the file's name."""


def sniff(content: bytes) -> str:
    """Return the format by Pillow's name, such as JPEG or WEBP, from the first bytes.

    Raises
    ------
    Unreadable
        If the content is empty or has an unsupported format, which is named if known.
    """
    if not content:
        raise Unreadable("the file is empty")
    for beginning, name in _BEGINNINGS:
        if content.startswith(beginning):
            if name == "TIFF" and content[8:10] == b"CR":
                raise _not_read("Canon raw (CR2)")
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        return _in_boxes(content)
    for beginning, name in _OTHERS:
        if content.startswith(beginning):
            raise _not_read(name)
    if content[128:132] == b"DICM":
        raise _not_read("DICOM")
    raise Unreadable(_no_image(content))


def _in_boxes(content: bytes) -> str:
    """Distinguish AVIF and HEIC from similar formats by the brands in the file's first box."""
    length = min(int.from_bytes(content[:4], "big"), 1024)
    major, *others = (content[at : at + 4] for at in (8, *range(16, length, 4)))
    if major in _AVIF or (major in (b"mif1", b"msf1") and {*_AVIF} & {*others}):
        return "AVIF"
    if major in _HEIC or (major in (b"mif1", b"msf1") and {*_HEIC} & {*others}):
        return "HEIF"
    if major == b"crx ":
        raise _not_read("Canon raw (CR3)")
    raise Unreadable("not an image: its content is a video (MP4 or QuickTime)")


def _not_read(name: str) -> Unreadable:
    return Unreadable(f"{name} is not supported; save the image as PNG or JPEG")


def _no_image(content: bytes) -> str:
    head = content[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in head:
        return "a vector drawing (SVG), which is not supported; save it as PNG"
    if head.startswith((b"<!doctype html", b"<html")):
        return "not an image: its content is a web page, perhaps from a failed download"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer instead of the image; fetch it with `git lfs pull`"
    if head.startswith(b"pk\x03\x04"):
        return "not an image: its content is a zip"
    return f"not an image: its content is not {READ}"
