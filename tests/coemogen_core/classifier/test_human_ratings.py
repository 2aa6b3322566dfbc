import pytest

from coemogen_core.classifier.human_ratings import VIEW, WIKIART_EMOTIONS, ratings_of_images, read_ratings
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.curation.small_tables import image_row, write_images

FELT = ["agreeableness", "anger", "anticipation", "arrogance", "disagreeableness", "disgust", "fear", "gratitude", "happiness"]
FELT += ["humility", "love", "optimism", "pessimism", "regret", "sadness", "shame", "shyness", "surprise", "trust", "neutral"]
VIEWS = ["Art (image+title): ", VIEW, "TitleOnly: "]
HEADER = ["ID", "Style", "Category", "Artist", "Title", "Year", "Image URL", "Painting Info URL", "Artist Info URL", "Is painting"]
HEADER += ["Face/body", "Ave. art rating", *(view + name for view in VIEWS for name in FELT)]


def line(artist: str, title: str, url: str = "", **felt: object) -> str:
    row = dict.fromkeys(HEADER, "") | {"Artist": artist, "Title": title, "Image URL": url}
    row |= dict.fromkeys((view + name for view in VIEWS for name in FELT), "0") | {VIEW + name: str(share) for name, share in felt.items()}
    row |= {"Art (image+title): fear": "1", "TitleOnly: fear": "1"}  # what people thought who saw the title does not count
    return "\t".join(row[name] for name in HEADER)


@pytest.fixture
def tsv(tmp_path):
    def write(*lines: str) -> str:
        (tmp_path / "ratings.tsv").write_text("\n".join(["\t".join(HEADER), *lines]) + "\n", encoding="utf-8")
        return str(tmp_path / "ratings.tsv")

    return write


def test_a_painting_is_named_as_its_file_and_felt_as_its_columns_say(tsv):
    url = "https://use2-uploads8.wikiart.org/images/vincent-van-gogh/wheat-field-with-crows-1890.jpg!Large.jpg"
    ratings = read_ratings(
        "wikiart-emotions", tsv(line("Vincent van Gogh", 'Wheat "Field', url, fear=0.5, sadness=0.3, regret=0.4, love=0.1))
    )
    (row,) = ratings.rows.iter_rows(named=True)
    assert row["name"] == "vincent-van-gogh_wheat-field-with-crows-1890"
    assert (row["fear"], row["sadness"], row["contentment"], row["awe"], row["amusement"]) == (0.5, 0.4, 0.1, 0.0, None)
    assert row["valence"] == pytest.approx((0.1 - 0.9) / 1.0)
    assert ratings.rejected == ()


def test_without_an_address_artist_and_title_name_the_file(tsv):
    rows = read_ratings("wikiart-emotions", tsv(line("Joan Miró", "The Farmer's Wife", happiness=1))).rows
    assert rows["name"].to_list() == ["joan-miro_the-farmer-s-wife"]
    assert rows["valence"].to_list() == [1.0]


def test_unusable_lines_are_listed_and_the_rest_is_kept(tsv):
    ratings = read_ratings(
        "wikiart-emotions",
        tsv(
            line("A", "one", fear="n/a"),
            line("A", "two", fear=0.2),
            line("A", "two", fear=0.3),
            line("", ""),
            line("A", "five", love=7),
            "x",
        ),
    )
    assert ratings.rows["name"].to_list() == ["a_two"]
    assert [number for number, _ in ratings.rejected] == [2, 4, 5, 6, 7]
    assert "'n/a'" in ratings.rejected[0][1]
    assert "earlier line" in ratings.rejected[1][1]
    assert "not within 0 to 1" in ratings.rejected[3][1]


def test_every_column_of_the_mapping_is_published_and_used_once():
    used = [name for names in WIKIART_EMOTIONS.values() for name in names]
    assert len(used) == len(set(used))
    assert set(used) <= set(FELT)
    assert set(WIKIART_EMOTIONS) == set(EMOTIONS) - {"amusement"}


def test_oasis_joins_pictures_by_file_name(tmp_path):
    (tmp_path / "human_ratings.csv").write_text(
        "image_id,emotion,theme,valence_mean_1to7\nawe_1,awe,x,5.5\nfear_1,fear,x,nan\nfear_2,fear,x,1.5\nunknown,awe,x,3\n"
    )
    ratings = read_ratings("oasis", str(tmp_path / "human_ratings.csv"))
    assert [number for number, _ in ratings.rejected] == [3]
    workspace = Workspace(str(tmp_path / "workspace"))
    pictures = {"image/awe/awe_1.jpg": image_row("awe", 1), "image/fear/fear_2.jpg": image_row("fear", 2), "other.jpg": image_row("awe", 3)}
    for path, row in pictures.items():
        row["image"] = {**row["image"], "path": path}
    write_images(workspace, "photos", "part-00000-aa", list(pictures.values()))
    found = {row["image_id"]: row["valence"] for row in ratings_of_images(workspace, "photos", ratings).iter_rows(named=True)}
    assert found == {pictures["image/awe/awe_1.jpg"]["image_id"]: 5.5, pictures["image/fear/fear_2.jpg"]["image_id"]: 1.5}


@pytest.mark.parametrize(("kind", "text"), [("oasis", "image_id,valence\na,3\n"), ("wikiart-emotions", "ID\tArtist\n1\tx\n")])
def test_another_file_is_refused_with_what_it_lacks(tmp_path, kind, text):
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match="lacks the columns"):
        read_ratings(kind, str(tmp_path / "file"))


def test_a_file_without_a_usable_row_is_refused(tmp_path):
    (tmp_path / "file").write_text("image_id,valence_mean_1to7\na,9\n")
    with pytest.raises(ValueError, match="no usable row"):
        read_ratings("oasis", str(tmp_path / "file"))


def test_oasis_as_it_is_published(shared_data):
    ratings = read_ratings("oasis", str(shared_data / "mini_emoset" / "human_ratings.csv"))
    assert (ratings.rows.height, ratings.rejected) == (278, ())
