"""CIFAR-10 in the binary format."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.problem.sources.cifar10 import CLASSES, cifar10


@pytest.fixture
def folder(tmp_path):
    """Five files of the exact format: label byte, then 3072 bytes of red, green and blue."""
    rng = np.random.default_rng(0)
    for number in range(1, 6):
        content = b""
        for record in range(20):
            image = rng.integers(0, 256, 3072, dtype=np.uint8)
            image[:3] = number, record, record % 10  # recognisable
            content += bytes([record % 10]) + image.tobytes()
        (tmp_path / f"data_batch_{number}.bin").write_bytes(content)
    return tmp_path


def test_two_classes_are_signs_and_images_keep_their_labels(folder):
    data = cifar10(
        folder=folder,
        classes=["automobile", "airplane"],
        standardize="none",
        test_fraction=0.25,
        n_samples=10,
    )
    assert data.X.shape == (10, 3072)
    assert data.X.dtype == np.float64
    assert data.X_test.shape == (5, 3072)
    assert data.info["classes"] == {"-1": "automobile", "1": "airplane"}
    # The third pixel of the file holds the label that was written.
    np.testing.assert_array_equal(np.where(data.X[:, 2] == 1, -1, 1), data.y)
    np.testing.assert_array_equal(np.where(data.X_test[:, 2] == 1, -1, 1), data.y_test)
    assert sorted(data.y) == [-1] * 5 + [1] * 5
    rows = 20 * (data.X[:, 0] - 1) + data.X[:, 1]
    np.testing.assert_array_equal(rows, data.info["train_rows"])
    assert not set(data.info["train_rows"]) & set(data.info["test_rows"])


def test_all_classes_and_the_same_seed(folder):
    data = cifar10(folder=folder, standardize="none", test_fraction=0.0, split_seed=3)
    assert data.X.shape == (100, 3072)
    assert data.X_test is None
    np.testing.assert_array_equal(data.X[:, 2], data.y)
    assert data.info["classes"]["9"] == CLASSES[9] == "truck"
    fewer = [
        cifar10(folder=folder, test_fraction=0.1, split_seed=3, n_samples=30) for _ in range(2)
    ]
    np.testing.assert_array_equal(fewer[0].X, fewer[1].X)


def test_missing_files_come_with_instructions(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no .*data_batch_1.bin; download .*kriz/cifar"):
        cifar10(folder=tmp_path)


def test_the_pickled_version_is_never_read(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04.")
    with pytest.raises(FileNotFoundError, match="Python version of CIFAR-10, which is pickled"):
        cifar10(folder=tmp_path)


def test_files_of_another_format_are_refused(folder):
    path = folder / "data_batch_3.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="not a multiple of 3073"):
        cifar10(folder=folder)
    path.write_bytes(bytes([10]) + whole[1:])
    with pytest.raises(ValueError, match="labels above 9"):
        cifar10(folder=folder)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="0 bytes"):
        cifar10(folder=folder)


def test_classes_are_checked(folder):
    with pytest.raises(ValueError, match="Did you mean 'airplane'"):
        cifar10(folder=folder, classes=["airplan", "dog"])
    with pytest.raises(ValueError, match="two distinct"):
        cifar10(folder=folder, classes=["dog", "dog"])


def test_home_and_the_folder_around_are_understood(folder, monkeypatch):
    direct = cifar10(folder=folder).X
    unpacked = folder / "downloads" / "cifar-10-batches-bin"
    unpacked.mkdir(parents=True)
    for file in folder.glob("*.bin"):
        file.rename(unpacked / file.name)
    monkeypatch.setenv("HOME", str(folder))
    for other in (unpacked.parent, "~/downloads", "~/downloads/cifar-10-batches-bin"):
        np.testing.assert_array_equal(cifar10(folder=other).X, direct)
