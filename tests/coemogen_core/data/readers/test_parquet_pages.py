import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coemogen_core.data.readers.parquet_pages import page_sizes


def chunks(data):
    metadata = pq.read_metadata(pa.BufferReader(data))
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(index)
            start = min(offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset)
            yield chunk, start, start + chunk.total_compressed_size


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "none"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_pages_that_arrow_wrote_add_up_to_what_it_claims(compression, version, dictionary):
    """Its claim counts the headers along."""
    rng = np.random.default_rng(0)
    table = pa.table({"image": [rng.bytes(3000) for _ in range(300)], "label": ["awe", None, "fear"] * 100, "number": range(300)})
    buffer = io.BytesIO()
    options = {"compression": compression, "data_page_version": version, "use_dictionary": dictionary, "data_page_size": 20_000}
    pq.write_table(table, buffer, row_group_size=120, write_page_checksum=True, **options)
    data = buffer.getvalue()
    for chunk, start, end in chunks(data):
        total = page_sizes(io.BytesIO(data), start, end).total
        assert 0.95 * chunk.total_uncompressed_size - 200 < total < chunk.total_uncompressed_size


@pytest.mark.parametrize(
    "data", [b"\xff" * 200, b"\x15" * 200, b"\x1c" * 200, b"\x19\xff\xff\xff\xff\x7f" * 40, b"\x15\x00\x15\x01\x15\x02\x00" * 9]
)
def test_what_are_no_pages(data):
    with pytest.raises(ValueError, match="page"):
        page_sizes(io.BytesIO(data), 0, len(data))
