"""What third parties test their leaves with."""

from robokata.testing.barcode import Barcode, barcode_picture, barcode_video, read_barcode
from robokata.testing.tiny import sound_facts, tiny_episode, tiny_source

__all__ = [
    "Barcode",
    "barcode_picture",
    "barcode_video",
    "read_barcode",
    "sound_facts",
    "tiny_episode",
    "tiny_source",
]
