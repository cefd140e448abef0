"""Storage that cannot be searched is refused before anything is removed from it."""

from pathlib import Path

import pytest

from cas_spark.errors import CasError
from cas_spark.platform.storage import check_arrow_reaches


def test_a_folder_is_reached_also_before_it_is_there(tmp_path: Path) -> None:
    check_arrow_reaches(str(tmp_path / "a lake #1"))
    check_arrow_reaches(tmp_path.as_uri())


@pytest.mark.parametrize("root", ["viewfs://far/lake", "s3a://bucket/lake", "nothing://x/lake"])
def test_what_arrow_does_not_know_is_refused(root: str) -> None:
    with pytest.raises(CasError, match="storage that Arrow cannot reach"):
        check_arrow_reaches(root)
