"""Thumbnails: a PNG in, a smaller PNG out.

Event: `{"image": "<PNG in base64>", "longest": 64}`; `longest` may be left out.
Answer: `{"image": "<PNG in base64>", "width": w, "height": h, "from": [width, height]}`, or `{"error": "..."}`.
"""

import base64
import binascii

import png

DEFAULT_LONGEST = 128
LARGEST = 1024


def handler(event, context):
    """The Lambda function. What is wrong with an event is said in the answer: to try again would not help."""
    try:
        longest = wanted_length(event)
        image = png.decode(image_of(event))
    except ValueError as error:
        return {"error": str(error)}
    small = png.shrink(image, longest)
    return {
        "image": base64.b64encode(png.encode(small)).decode("ascii"),
        "width": small.width,
        "height": small.height,
        "from": [image.width, image.height],
    }


def image_of(event) -> bytes:
    """The PNG's bytes."""
    image = event.get("image") if isinstance(event, dict) else None
    if not isinstance(image, str):
        raise ValueError("`image` is missing: send a PNG in base64")
    try:
        return base64.b64decode(image, validate=True)
    except binascii.Error as error:
        raise ValueError(f"`image` is not base64: {error}") from error


def wanted_length(event) -> int:
    """The length of the thumbnail's longer side, in pixels."""
    longest = event.get("longest", DEFAULT_LONGEST) if isinstance(event, dict) else DEFAULT_LONGEST
    if isinstance(longest, bool) or not isinstance(longest, int) or not 1 <= longest <= LARGEST:
        raise ValueError(f"`longest` must be a whole number from 1 to {LARGEST}")
    return longest
