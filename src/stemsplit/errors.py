"""
Every error that stemsplit raises for something a user can mend.

    StemsplitError
    ├── UsageError              a wrong option or argument, found before any work (exit code 2)
    │   ├── UnknownModelError   no catalogue name, no path and no hub repository
    │   ├── UnknownSourceError  a source the model does not separate
    │   └── OutputError         an output folder that cannot be written
    ├── ModelError              a model that is known but cannot be used (exit code 1)
    │   ├── DownloadError       no network, offline, refused, or not on the hub
    │   ├── IntegrityError      wrong size or hash: not the published file
    │   └── CheckpointError     not a readable HT Demucs checkpoint, or one we do not support
    └── TrackError              one track fails, the others go on (exit code 1)
        ├── DecodeError         missing, empty, corrupt or not audio
        ├── MissingProgramError an external program (ffmpeg) is needed and not installed
        ├── RecordError         the record in the track's place is of a newer version, or another's
        └── EncodeError         a stem that cannot be written: it exists, or is not permitted
            └── DiskFullError   no room for it, and so for none that would follow

A message is one sentence that says what happened, to which file, and what to do. What is no user's doing
(a bug, an invariant) is an ordinary Python exception.
"""


class StemsplitError(Exception):
    """Base of all errors that carry a sentence for the user."""


class UsageError(StemsplitError):
    """A wrong option or argument, found before any work."""


class UnknownModelError(UsageError):
    """A model name that is no catalogue name, no path and no hub repository."""


class UnknownSourceError(UsageError):
    """A source that the model does not separate."""


class OutputError(UsageError):
    """An output folder that cannot be created or written."""


class ModelError(StemsplitError):
    """A model that is known but cannot be used."""


class DownloadError(ModelError):
    """A model file that could not be fetched."""


class IntegrityError(ModelError):
    """A model file whose size or SHA-256 is not the published one."""


class CheckpointError(ModelError):
    """A file that is no readable HT Demucs checkpoint, or one whose architecture is not supported."""


class TrackError(StemsplitError):
    """One track fails; the others go on."""


class DecodeError(TrackError):
    """An input that is missing, empty, corrupt or not audio."""


class MissingProgramError(TrackError):
    """An external program is needed and not installed."""


class RecordError(TrackError):
    """A record in the track's place that is not to be touched: of a newer version, or of another song."""


class EncodeError(TrackError):
    """A stem that cannot be written."""


class DiskFullError(EncodeError):
    """No room on the disk for a stem."""
