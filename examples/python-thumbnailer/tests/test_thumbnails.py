"""Run with `python3 -m unittest` in the project's directory."""

import base64
import struct
import unittest
import zlib

import png
from handler import handler

RED, BLUE, CLEAR = b"\xff\x00\x00\xff", b"\x00\x00\xff\xff", b"\x00\xff\x00\x00"


def image(*rows):
    return png.Image(len(rows[0]), len(rows), [b"".join(row) for row in rows])


def raw_png(width, height, colour, filtered, *, depth=8, interlaced=0, extra=()):
    """A PNG from rows that are already filtered, for what `encode` never writes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return png.SIGNATURE + b"".join(png._chunk(kind, body) for kind, body in chunks)


def invoke(data, **more):
    return handler({"image": base64.b64encode(data).decode(), **more}, None)


class Png(unittest.TestCase):
    def test_what_is_written_is_read_again(self):
        before = image([RED, BLUE], [CLEAR, RED], [BLUE, BLUE])
        after = png.decode(png.encode(before))
        self.assertEqual((after.width, after.height), (2, 3))
        self.assertEqual([bytes(row) for row in after.rows], before.rows)

    def test_every_filter_is_undone(self):
        # Five gray rows of 10, 20, 30, each filtered in its own way.
        rows = b"\x00\x0a\x14\x1e" b"\x01\x0a\x0a\x0a" b"\x02\x00\x00\x00" b"\x03\x05\x05\x05" b"\x04\x00\x00\x00"
        decoded = png.decode(raw_png(3, 5, png.GRAY, rows))
        for row in decoded.rows:
            self.assertEqual(row, b"\x0a\x0a\x0a\xff\x14\x14\x14\xff\x1e\x1e\x1e\xff")

    def test_a_palette_with_transparency(self):
        extra = [(b"PLTE", b"\xff\x00\x00\x00\x00\xff"), (b"tRNS", b"\x80")]
        decoded = png.decode(raw_png(2, 1, png.PALETTE, b"\x00\x00\x01", extra=extra))
        self.assertEqual(decoded.rows, [b"\xff\x00\x00\x80" + BLUE])

    def test_a_colour_that_means_transparent(self):
        extra = [(b"tRNS", b"\x00\xff\x00\x00\x00\x00")]
        decoded = png.decode(raw_png(2, 1, png.RGB, b"\x00\xff\x00\x00\x00\x00\xff", extra=extra))
        self.assertEqual(decoded.rows, [b"\xff\x00\x00\x00" + BLUE])

    def test_the_mean_ignores_the_colour_of_what_is_invisible(self):
        small = png.shrink(image([RED, CLEAR], [CLEAR, RED]), 1)
        self.assertEqual(small.rows, [b"\xff\x00\x00\x7f"])

    def test_the_proportions_stay(self):
        small = png.shrink(image(*[[RED] * 40] * 10), 20)
        self.assertEqual((small.width, small.height), (20, 5))

    def test_a_line_keeps_a_pixel_of_height(self):
        small = png.shrink(image([RED] * 100), 10)
        self.assertEqual((small.width, small.height), (10, 1))


class Handler(unittest.TestCase):
    def test_a_large_picture_comes_back_small(self):
        answer = invoke(png.encode(image(*[[RED] * 30] * 60)), longest=16)
        self.assertEqual((answer["width"], answer["height"], answer["from"]), (8, 16, [30, 60]))
        small = png.decode(base64.b64decode(answer["image"]))
        self.assertEqual({bytes(row) for row in small.rows}, {RED * 8})

    def test_a_small_picture_keeps_its_size(self):
        answer = invoke(png.encode(image([RED, BLUE])))
        self.assertEqual((answer["width"], answer["height"]), (2, 1))

    def test_bad_events_are_answered_with_the_reason(self):
        good = png.encode(image([RED]))
        header = struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, png.RGBA, 0, 0, 0)
        huge = png.SIGNATURE + png._chunk(b"IHDR", header) + png._chunk(b"IEND", b"")
        for answer, reason in [
            (handler({}, None), "`image` is missing"),
            (handler([], None), "`image` is missing"),
            (handler({"image": "%"}, None), "not base64"),
            (invoke(b"GIF89a"), "not a PNG"),
            (invoke(good[:-6]), "cut off"),
            (invoke(good.replace(b"IDAT", b"IDAU")), "damaged"),
            (invoke(raw_png(1, 1, png.GRAY, b"\x00\x00", depth=16)), "8 bits"),
            (invoke(raw_png(1, 1, png.GRAY, b"\x00\x00", interlaced=1)), "interlaced"),
            (invoke(raw_png(1, 2, png.GRAY, b"\x00\x00")), "too few pixels"),
            (invoke(raw_png(1, 1, png.GRAY, b"\x09\x00")), "unknown filter"),
            (invoke(huge), "at most"),
            (invoke(good, longest=0), "`longest`"),
            (invoke(good, longest=True), "`longest`"),
        ]:
            self.assertIn(reason, answer.get("error", ""), answer)


if __name__ == "__main__":
    unittest.main()
