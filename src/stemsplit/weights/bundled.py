"""
The models that come with the package: each a folder beside this file, as a training run leaves it.

They have names as those of the catalogue do, and need no network. A file is called by the first digits of its SHA-256,
which are checked whenever it is used. Importing this imports no torch.
"""

from dataclasses import dataclass
from pathlib import Path

from stemsplit.errors import IntegrityError, ModelError
from stemsplit.weights.definition import read_definition
from stemsplit.weights.integrity import flaw_of


@dataclass(frozen=True)
class BundledModel:
    """
    One model of the package.

    Attributes:
        name: what `--model` takes.
        sources: in the order of the networks' output.
        licence: a note for the user.
    """

    name: str
    sources: tuple[str, ...]
    licence: str

    @property
    def definition(self) -> Path:
        """The YAML that describes its bag, with its networks beside it."""
        return Path(__file__).parent / self.name / f"{self.name}.yaml"

    @property
    def size(self) -> int:
        """Bytes of all its networks."""
        return sum(path.stat().st_size for path in self.definition.parent.glob("*.safetensors"))

    def check(self) -> None:
        """
        See that its files have the bytes that they were packed with.

        Raises:
            IntegrityError: if they have not, or are not there.
        """
        try:
            for signature in read_definition(self.definition).members:
                path = self.definition.with_name(f"{signature}.safetensors")
                if flaw := flaw_of(path, signature, None):
                    raise IntegrityError(f"{path} {flaw}.")
        except ModelError as error:
            raise IntegrityError(f"{error} It is damaged. Install stemsplit again.") from error


MINI = BundledModel("mini", ("drums", "bass", "other", "vocals"), "MIT, as all of stemsplit: free for any use.")
BUNDLED = {model.name: model for model in (MINI,)}
