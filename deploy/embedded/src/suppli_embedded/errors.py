"""What can go wrong while the embedded servers are started."""


class EmbeddedError(Exception):
    """A server cannot be provided; the message says why and what to do."""


class DownloadError(EmbeddedError):
    """A jar could not be fetched, or is not the file that was committed to."""


class StartError(EmbeddedError):
    """A program ended, or did not become ready in time; the message ends with the tail of its log."""


class FolderInUseError(EmbeddedError):
    """Another runtime uses the state folder now."""
