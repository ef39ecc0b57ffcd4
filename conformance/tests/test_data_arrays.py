"""Data sets: what is refused and what is left out, and the files that they come in."""

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from xbce_conformance.cases import PLAIN, case_named
from xbce_conformance.data.arrays import BadData, Data
from xbce_conformance.data.read import columns_of, read_data
from xbce_conformance.inputs.formats import FORMATS

X = np.float32([0.5, -2.0, 3.0])
Z = np.float32([1.0, 0.0, 0.25])


@pytest.mark.parametrize(
    ("logits", "labels", "others", "text"),
    [
        (X, [-1, 1, -1], {}, r"labels are -1 and 1; numbers in \[0, 1\] are expected: give \(labels \+ 1\) / 2"),
        (X, [0, 1, 2], {}, r"labels has 1 numbers outside \[0, 1\], such as 2 at 2; are logits and labels swapped\?"),
        (X, [0, 1], {}, r"labels has the shape \(2,\); \(3,\), that of logits, or one that fits is expected"),
        (X, ["a", "b", "c"], {}, "labels has the dtype <U1; numbers are expected"),
        ([1, 2, 3], Z, {}, "logits has the dtype int64; one of float16, bfloat16, float32, float64 is expected"),
        (X, Z, {"weight": [1, -1, 1]}, "weight has numbers from -1 to 1; finite ones, not all 0, none below 0"),
        (X, Z, {"where": [1, 0, 1]}, "where has the dtype int64; bool is expected"),
        (X * np.float32("nan"), Z, {}, "the arrays: no element is left; 3 of 3 elements are not finite"),
    ],
)
def test_what_no_loss_is_defined_for_is_refused(logits, labels, others, text):
    with pytest.raises(BadData, match=text):
        Data.of({"logits": logits, "labels": labels}, **others)


def test_probabilities_are_in_the_unit_interval():
    case = case_named("binary_cross_entropy(clip=1e-07)")
    with pytest.raises(BadData, match=r"probabilities has 2 numbers outside \[0, 1\]"):
        Data.of({"probabilities": X, "labels": Z}, case=case)


def test_what_is_left_out_is_said_and_keeps_its_place():
    logits = np.float32([1, np.inf, 2, np.nan, 3, 4])
    data = Data.of({"logits": logits, "labels": np.zeros(6)}, where=np.array([1, 1, 1, 1, 1, 0], bool))
    assert data.first.tolist() == [1, 2, 3]
    assert [data.place(i) for i in range(3)] == [0, 2, 4]
    assert data.notes == [
        "the mask drops 1 of 6 elements",
        "2 of 5 elements are not finite and are left out; the first: logits inf, labels 0.0",
    ]


def test_what_the_mask_drops_may_be_anything():
    """Padding is why there are masks."""
    where = np.array([True, False, True])
    data = Data.of({"logits": X, "labels": [1, -100, 0]}, weight=[1, np.nan, 2], where=where)
    assert data.arrays["labels"].tolist() == [1, 0]
    assert Data.of({"logits": X, "labels": Z}, where=torch.tensor(where)).size == 2


def test_weights_that_are_all_0_in_what_is_left_are_refused():
    with pytest.raises(BadData, match="the weights of all elements that are left are 0"):
        Data.of({"logits": X, "labels": Z}, weight=[0, 1, 0], where=np.array([True, False, True]))


def test_single_numbers_fit_one_element():
    assert Data.of({"logits": X[:1], "labels": np.float32(1)}).arrays["labels"].tolist() == [1]
    assert Data.of({"logits": X[0], "labels": Z[:1]}).size == 1


def test_a_column_is_no_matrix():
    """(n,) with (n, 1) would be (n, n) in NumPy."""
    data = Data.of({"logits": X[:, None], "labels": Z})
    assert data.size == 3
    assert data.arrays["labels"].tolist() == Z.tolist()


def test_a_sample_is_even_and_said():
    data = Data.of({"logits": np.arange(10.0), "labels": np.zeros(10)}, weight=np.arange(10)).sampled(4)
    assert data.first.tolist() == [0, 3, 6, 9]
    assert data.weight.tolist() == [0, 3, 6, 9]
    assert data.notes == ["4 of 10 elements are tried, evenly over all"]


def test_too_large_for_a_format_is_left_out():
    data = Data.of({"logits": np.float32([1e5, 1.0]), "labels": np.zeros(2)})
    there = data.rounded(FORMATS["float16"])
    assert there.first.tolist() == [1.0]
    assert "1 of 2 elements are not finite" in there.notes[0]


def test_tensors_of_pytorch_with_gradients_and_bfloat16():
    logits = torch.tensor(X, dtype=torch.bfloat16, requires_grad=True)
    data = Data.of({"logits": logits, "labels": torch.tensor(Z)})
    assert data.dtype == "bfloat16"
    assert data.first.astype(float).tolist() == X.tolist()


# --- files ----------------------------------------------------------------------------------------------------------


def numbers(data):
    return [np.float64(array).tolist() for array in data.arrays.values()]


def test_files_of_numpy(tmp_path):
    np.savez(tmp_path / "named.npz", labels=Z, logits=X)
    np.savez(tmp_path / "other.npz", y=Z, scores=X, w=Z + 1)
    np.save(tmp_path / "columns.npy", np.stack([X, Z], axis=1))
    np.save(tmp_path / "logits.npy", X)
    np.save(tmp_path / "labels.npy", Z)
    fields = np.zeros(3, [("labels", "f4"), ("logits", "f4")])
    fields["labels"], fields["logits"] = Z, X
    np.save(tmp_path / "fields.npy", fields)
    expected = [X.tolist(), Z.tolist()]
    assert numbers(read_data(tmp_path / "named.npz", {})) == expected
    assert numbers(read_data(tmp_path / "columns.npy", {})) == expected
    assert numbers(read_data(tmp_path / "columns.npy", {"logits": "0", "labels": "1"})) == expected
    assert numbers(read_data(tmp_path / "fields.npy", {})) == expected
    assert numbers(read_data(tmp_path / "logits.npy", {"labels": str(tmp_path / "labels.npy")})) == expected
    other = read_data(tmp_path / "other.npz", {"logits": "scores", "labels": "0", "weight": "w"})
    assert numbers(other) == expected
    assert other.weights.tolist() == [2.0, 1.0, 1.25]


def test_logits_of_several_classes_with_labels_in_another_file(tmp_path):
    """Each file holds one array of two dimensions, and no table of columns."""
    x, z = np.arange(6, dtype=np.float32).reshape(2, 3), np.eye(3)[:2]
    np.save(tmp_path / "logits.npy", x)
    np.save(tmp_path / "labels.npy", z)
    data = read_data(tmp_path / "logits.npy", {"labels": str(tmp_path / "labels.npy")})
    assert numbers(data) == [x.ravel().tolist(), z.ravel().tolist()]


def test_bfloat16_in_files_of_numpy(tmp_path):
    """np.save writes it as two bytes of nothing in particular."""
    np.savez(tmp_path / "half.npz", logits=X.astype(ml_dtypes.bfloat16), labels=Z)
    data = read_data(tmp_path / "half.npz", {})
    assert data.dtype == "bfloat16"
    assert numbers(data) == [X.tolist(), Z.tolist()]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_safetensors(tmp_path, dtype):
    file = tmp_path / "step.safetensors"
    tensors = {
        "labels": torch.tensor([1, 0, 1], dtype=torch.int8),
        "logits": torch.tensor(X, dtype=dtype),
        "where": torch.tensor([True, True, False]),
    }
    safetensors.torch.save_file(tensors, file)
    data = read_data(file, {})
    assert data.dtype == str(dtype).removeprefix("torch.")
    assert numbers(data) == [[0.5, -2.0], [1.0, 0.0]]


def test_parquet(tmp_path):
    file = tmp_path / "step.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], "logits": X, "labels": Z}), file)
    assert [*columns_of(file)] == ["id", "logits", "labels"]
    assert numbers(read_data(file, {})) == [X.tolist(), Z.tolist()]


def test_what_a_file_has_is_said(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, z=Z)
    with pytest.raises(BadData, match=r"a\.npz has no array 'logits'; it has x, z: name one with --logits NAME"):
        read_data(tmp_path / "a.npz", {})
    with pytest.raises(BadData, match=r"--labels: .*a\.npz has no array 'y'; it has x, z"):
        read_data(tmp_path / "a.npz", {"logits": "x", "labels": "y"})
    with pytest.raises(
        BadData, match=r"a\.csv is no file of a known kind; one of \.npz, \.npy, \.safetensors, \.parquet"
    ):
        read_data(tmp_path / "a.csv", {})
    (tmp_path / "b.npz").write_bytes(b"PK nothing")
    with pytest.raises(BadData, match=r"b\.npz does not hold arrays as \.npz does: "):
        read_data(tmp_path / "b.npz", {})
    np.savez(tmp_path / "c.npz", logits=np.array([object()]), labels=Z)
    with pytest.raises(BadData, match="Object arrays cannot be loaded"):
        read_data(tmp_path / "c.npz", {})


def test_other_arguments_of_a_case_have_columns_of_their_names(tmp_path):
    np.savez(tmp_path / "a.npz", logits=X, labels=Z, pos_weight=np.float32([2.0]))
    data = read_data(tmp_path / "a.npz", {}, case_named("binary_cross_entropy_with_logits(pos_weight)"))
    assert numbers(data)[2] == [2.0, 2.0, 2.0]
    assert data.case is not PLAIN
