"""What third parties test their leaves with."""

from robokata.testing.barcode import Barcode, barcode_picture, barcode_video, read_barcode
from robokata.testing.clauses import CHECK_CLAUSES, SOURCE_CLAUSES
from robokata.testing.tiny import sound_facts, tiny_episode, tiny_source

__all__ = [
    "CHECK_CLAUSES",
    "SOURCE_CLAUSES",
    "Barcode",
    "barcode_picture",
    "barcode_video",
    "read_barcode",
    "sound_facts",
    "tiny_episode",
    "tiny_source",
]
