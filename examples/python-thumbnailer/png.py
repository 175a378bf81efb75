"""Just enough PNG for thumbnails: 8 bits per channel, not interlaced, with nothing but the standard library.

An image is held as RGBA rows: `Image.rows[y]` is a bytes-like object of `4 * width` bytes.
The format is described in https://www.w3.org/TR/png-3/.
"""

import struct
import zlib
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Bytes per pixel of the colour types that exist with 8 bits per channel.
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}

# A picture of 4,096 x 4,096 pixels takes 64 MiB as RGBA, which fits into a small function.
MAX_PIXELS = 4096 * 4096


class PngError(ValueError):
    """The bytes are no PNG, are damaged, or use a feature that is not supported."""


@dataclass(frozen=True)
class Image:
    """Width and height in pixels, and the rows from top to bottom as RGBA."""

    width: int
    height: int
    rows: list


def decode(data: bytes) -> Image:
    """Reads a PNG. Raises `PngError` with the reason if it can't."""
    header = palette = None
    transparency = b""
    compressed = []
    for kind, body in _chunks(data):
        if kind == b"IHDR":
            header = _header(body)
        elif kind == b"PLTE":
            palette = body
        elif kind == b"tRNS":
            transparency = body
        elif kind == b"IDAT":
            compressed.append(body)
    if header is None:
        raise PngError("the PNG has no header")
    width, height, colour = header
    stride = width * CHANNELS[colour]
    raw = _inflate(b"".join(compressed), height * (1 + stride))
    to_rgba = _converter(colour, palette, transparency)
    return Image(width, height, [to_rgba(row) for row in _unfilter(raw, stride, CHANNELS[colour])])


def encode(image: Image) -> bytes:
    """Writes an image as an RGBA PNG."""
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, RGBA, 0, 0, 0)
    raw = b"".join(b"\x00" + bytes(row) for row in image.rows)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")


def shrink(image: Image, longest: int) -> Image:
    """Scales an image down until its longer side has at most `longest` pixels. A smaller one stays as it is.

    Each new pixel is the mean of the old ones it covers, with colours weighted by their alpha, so that what is
    invisible doesn't tint what isn't.
    """
    scale = max(image.width, image.height)
    if scale <= longest:
        return image
    width = max(1, image.width * longest // scale)
    height = max(1, image.height * longest // scale)
    return Image(width, height, [_mean_row(image, y, width, height) for y in range(height)])


def _mean_row(image: Image, y: int, width: int, height: int) -> bytes:
    covered = image.rows[y * image.height // height : max((y + 1) * image.height // height, y * image.height // height + 1)]
    out = bytearray()
    for x in range(width):
        first = x * image.width // width
        last = max((x + 1) * image.width // width, first + 1)
        part = b"".join(bytes(row[4 * first : 4 * last]) for row in covered)
        alphas = part[3::4]
        weight = sum(alphas)
        for channel in range(3):
            total = sum(value * alpha for value, alpha in zip(part[channel::4], alphas))
            out.append(total // weight if weight else 0)
        out.append(weight // len(alphas))
    return bytes(out)


def _chunks(data: bytes):
    """The chunks up to IEND, checked against their CRC."""
    if not data.startswith(SIGNATURE):
        raise PngError("not a PNG: the signature is missing")
    at = len(SIGNATURE)
    while True:
        if at + 12 > len(data):
            raise PngError("the PNG is cut off")
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            raise PngError("the PNG is cut off")
        body = data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        if crc != zlib.crc32(kind + body):
            raise PngError(f"the PNG is damaged: checksum of {kind.decode('latin-1')}")
        if kind == b"IEND":
            return
        yield kind, body
        at += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _header(body: bytes):
    if len(body) != 13:
        raise PngError("the PNG's header has the wrong length")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
    if colour not in CHANNELS or depth != 8 or interlaced:
        raise PngError("only PNGs with 8 bits per channel, not interlaced, are supported")
    if not 0 < width * height <= MAX_PIXELS:
        raise PngError(f"{width} x {height} pixels: at most {MAX_PIXELS} are supported")
    return width, height, colour


def _inflate(compressed: bytes, size: int) -> bytes:
    """Inflates to exactly `size` bytes, and never to more: a small file must not fill the memory."""
    try:
        raw = zlib.decompressobj().decompress(compressed, size)
    except zlib.error as error:
        raise PngError(f"the PNG is damaged: {error}") from error
    if len(raw) != size:
        raise PngError("the PNG has too few pixels")
    return raw


def _unfilter(raw: bytes, stride: int, channels: int):
    """The rows without their filters (section 9 of the specification)."""
    above = bytes(stride)
    for at in range(0, len(raw), 1 + stride):
        kind, row = raw[at], bytearray(raw[at + 1 : at + 1 + stride])
        if kind > 4:
            raise PngError(f"the PNG has an unknown filter: {kind}")
        if kind:
            for i in range(stride):
                left = row[i - channels] if i >= channels else 0
                corner = above[i - channels] if i >= channels else 0
                row[i] = (row[i] + (0, left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))[kind]) & 255
        yield row
        above = row


def _paeth(left: int, above: int, corner: int) -> int:
    """Whichever of the three neighbours is nearest to left + above - corner."""
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def _converter(colour: int, palette, transparency: bytes):
    """A function that turns a row of this colour type into RGBA."""
    if colour == RGBA:
        return bytes
    if colour == PALETTE:
        if not palette:
            raise PngError("the PNG has no palette")
        colours = [palette[i : i + 3] for i in range(0, len(palette) - 2, 3)]
        table = [rgb + transparency[i : i + 1].ljust(1, b"\xff") for i, rgb in enumerate(colours)]
        table += [b"\x00\x00\x00\xff"] * (256 - len(table))
        return lambda row: b"".join(table[index] for index in row)
    # One colour may stand for "transparent"; with 8 bits it is the low byte of each 16-bit sample.
    clear = transparency[1::2]
    if colour == GRAY:
        return lambda row: b"".join(bytes((v, v, v, 0 if bytes((v,)) == clear else 255)) for v in row)
    if colour == GRAY_ALPHA:
        return lambda row: b"".join(bytes((row[i], row[i], row[i], row[i + 1])) for i in range(0, len(row), 2))
    return lambda row: b"".join(
        bytes(row[i : i + 3]) + (b"\x00" if row[i : i + 3] == clear else b"\xff") for i in range(0, len(row), 3)
    )
