"""Finding out what a file of sales is, and saying what each finding was told from; pure."""

from suppli_connector_upload.domain.detection.detect import detect

__all__ = ["detect"]
