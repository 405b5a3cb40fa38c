"""What each chart draws of its tables: the data, the words of the finding, and the size of its picture."""

import io
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.charts import areas, chain, cohorts, features, page, review, survival, thresholds

CURVE = pd.DataFrame(
    {
        "value": [0.0, 5.0, 10.0, 20.0],
        "band_accounts": [40, 10, 0, 90],
        "band_retained_share": [0.5, 0.6, np.nan, 0.9],
        "retention": [0.5, 0.6, 0.6, 0.9],
        "retention_low": [0.4, 0.5, 0.5, 0.8],
        "retention_high": [0.6, 0.7, 0.8, 0.95],
    }
)
FOUND: dict[str, Any] = {
    "accounts": 140, "earlier_accounts": 75, "later_accounts": 65, "trust": "mixed", "is_signal": True, "is_sharp": True, "reason": None,
    "pick": 10.0, "pick_low": 8.0, "pick_high": 12.0, "adopted": 5.0, "difference": 0.2, "difference_low": 0.1, "difference_high": 0.3,
}  # fmt: skip


def threshold(curve: pd.DataFrame = CURVE, **changes: Any) -> Any:
    return thresholds.activation({"activation_threshold_curve": curve, "activation_threshold": pd.DataFrame([FOUND | changes])})


def by_gid(figure: Any, gid: str) -> Any:
    (found,) = figure.findobj(lambda artist: artist.get_gid() == gid)
    return found


def gids(figure: Any) -> set[str]:
    return {artist.get_gid() for artist in figure.findobj(lambda artist: artist.get_gid() is not None)}


def texts(figure: Any) -> str:
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return " | ".join(" ".join(artist.get_text().split()) for artist in found)


def opened(data: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB")


# --- the picture ----------------------------------------------------------------------------------------------------


def test_a_picture_is_a_small_png_on_white_and_the_same_each_time() -> None:
    first, second = page.png(threshold()), page.png(threshold())
    assert first == second
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(first) < page.LIMIT < 100_000 * 3 / 4
    picture = opened(first)
    # seven inches at the finest resolution; the corners are the page
    assert picture.width == 1050
    assert {picture.getpixel((x, y)) for x in (0, 1049) for y in (0, picture.height - 1)} == {(255, 255, 255)}


def test_a_picture_that_is_too_large_loses_resolution_and_is_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    full = len(page.png(threshold()))
    monkeypatch.setattr(page, "LIMIT", full - 1)
    smaller = page.png(threshold())
    assert opened(smaller).width == 700
    monkeypatch.setattr(page, "LIMIT", 1_000)
    with pytest.raises(page.ChartError, match=r"bytes at 70 dots per inch; 1,000 may be kept"):
        page.png(threshold())


def test_matplotlib_is_imported_by_drawing_alone_and_pyplot_never() -> None:
    loaded = "sorted({'matplotlib', 'matplotlib.pyplot', 'PIL'} & set(sys.modules))"
    code = (
        "import sys\nfrom milestones_dagster.charts import areas, chain, cohorts, features, page, review, survival, thresholds\n"
        f"print({loaded})\npage.png(page.Page('a', 'b', 1.0).figure)\nprint({loaded})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.splitlines() == ["[]", "['PIL', 'matplotlib']"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (page.number(20.0), "20"),
        (page.number(4.723476), "4.72"),
        (page.number(1234.5), "1,234"),
        (page.percent(0.979167), "97.9 %"),
        (page.percent(1.0), "100 %"),
        (page.effect_words(0.146, -0.064, 0.356), "+14.6 points (−6.4 to +35.6)"),
    ],
)
def test_numbers_in_words(words: str, expected: str) -> None:
    assert words == expected


# --- response curve -------------------------------------------------------------------------------------------------


def test_a_response_curve_draws_fit_band_accounts_pick_interval_and_adopted_value() -> None:
    figure = threshold()
    response = by_gid(figure, "response")
    # the last step is open and drawn a twelfth of the width wide
    assert list(response.get_xdata()) == pytest.approx([0, 5, 10, 20, 20 + 20 / 12])
    assert list(response.get_ydata()) == [0.5, 0.6, 0.6, 0.9, 0.9]
    band = by_gid(figure, "band").get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.4, 0.95)
    seen = by_gid(figure, "seen")
    # a step without accounts has no circle; the area follows the number
    assert np.asarray(seen.get_offsets()) == pytest.approx(np.array([[2.5, 0.5], [7.5, 0.6], [20 + 10 / 12, 0.9]]))
    assert list(seen.get_sizes() / seen.get_sizes().max()) == pytest.approx([40 / 90, 10 / 90, 1])
    assert list(by_gid(figure, "picked").get_xdata()) == [10.0, 10.0]
    assert list(by_gid(figure, "adopted").get_xdata()) == [5.0, 5.0]
    shaded = by_gid(figure, "stability")
    assert (shaded.get_x(), shaded.get_x() + shaded.get_width()) == (8.0, 12.0)
    words = texts(figure)
    assert "picked 10, stability interval 8 to 12" in words
    assert "adopted 5" in words
    assert "n = 140 accounts; picked on 75 of earlier cohorts, measured on 65 of later ones. Trust: mixed." in words
    assert "Accounts retained" in words
    assert "Activation events before the landmark (events)" in words


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "10 or more activation events go with +20.0 points (+10.0 to +30.0) of retention among accounts alike"),
        (
            {"trust": "interview", "is_signal": False, "reason": "trust is interview"},
            "Too few accounts to tell whether 10 or more activation events go with staying: decides nothing",
        ),
        (
            {"is_signal": False, "reason": "the difference is not positive"},
            "The later accounts do not confirm that 10 or more activation events go with staying: no threshold",
        ),
        (
            {"pick": np.nan, "pick_low": np.nan, "pick_high": np.nan, "difference": np.nan, "is_signal": False},
            "No value of activation events goes with staying: no threshold is picked",
        ),
    ],
    ids=["signal", "interview", "not confirmed", "no pick"],
)
def test_the_title_of_a_response_curve_says_the_finding(changes: dict[str, Any], title: str) -> None:
    figure = threshold(**changes)
    assert figure.get_label() == title
    assert title in texts(figure)
    assert "cause" not in texts(figure)
    assert ("Trust: interview" in texts(figure)) == ("trust" in changes)
    assert ("No signal" in texts(figure)) == ("is_signal" in changes)


def test_an_adopted_value_that_is_missing_or_beyond_the_curve_has_no_line() -> None:
    assert "adopted" not in gids(threshold(adopted=np.nan))
    beyond = threshold(adopted=500.0)
    assert "adopted" not in gids(beyond)
    assert "adopted 500, beyond the curve" in texts(beyond)


def test_a_usage_curve_names_its_own_unit() -> None:
    figure = thresholds.usage({"usage_threshold_curve": CURVE, "usage_threshold": pd.DataFrame([FOUND])})
    assert figure is not None
    assert figure.get_label().startswith("10 or more resolved conversations per seat and month go with")


# --- survival -------------------------------------------------------------------------------------------------------

SURVIVAL = pd.DataFrame(
    {
        "group_name": ["activated"] * 5 + ["not_activated"] * 3,
        "day": [0, 7, 14, 21, 28, 0, 7, 14],
        "at_risk": [30, 25, 20, 12, 9, 20, 15, 8],
        "survival": [1.0, 0.95, 0.9, 0.9, 0.9, 1.0, 0.7, 0.5],
        "survival_low": [0.9, 0.85, 0.8, 0.8, 0.8, 0.9, 0.5, 0.3],
        "survival_high": [1.0, 0.99, 0.95, 0.95, 0.95, 1.0, 0.8, 0.7],
    }
)
VALIDATION: dict[str, Any] = {
    "outcome": "dormant_or_left", "cohort": "all", "trust": "mixed", "activated": 30, "not_activated": 20, "horizon_days": 14,
    "activated_share": 0.9, "other_share": 0.5, "difference": 0.35, "difference_low": 0.2, "difference_high": 0.5,
}  # fmt: skip


def survived(curves: pd.DataFrame = SURVIVAL, **changes: Any) -> Any:
    others = [VALIDATION | {"outcome": "usage"}, VALIDATION | {"cohort": "2025-Q1", "trust": "statistical"}]
    validation = pd.DataFrame([*others, VALIDATION | changes])
    return survival.activation({"activation_survival": curves, "activation_validation": validation})


def test_survival_curves_have_bands_numbers_at_risk_and_the_horizon() -> None:
    figure = survived()
    solid, dashed = by_gid(figure, "activated"), by_gid(figure, "activated few")
    assert list(zip(solid.get_xdata(), solid.get_ydata(), strict=True)) == [(0, 1.0), (7, 0.95), (14, 0.9), (21, 0.9)]
    # fewer than ten at risk: dashed, from where the solid line ends
    assert list(dashed.get_xdata()) == [21, 28]
    assert list(by_gid(figure, "not_activated few").get_ydata()) == [0.7, 0.5]
    band = by_gid(figure, "not_activated band").get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.3, 1.0)
    assert list(by_gid(figure, "horizon").get_xdata()) == [14, 14]
    assert {gid: by_gid(figure, gid).get_text() for gid in ("activated 0", "activated 28", "not_activated 0", "not_activated 28")} == {
        "activated 0": "30", "activated 28": "9", "not_activated 0": "20", "not_activated 28": "0",
    }  # fmt: skip
    assert figure.get_label() == (
        "Activation goes with +35.0 points (+20.0 to +50.0) of accounts neither dormant nor left after 14 days, "
        "among accounts alike in plan and size"
    )
    assert "n = 30 activated and 20 other accounts. Trust: mixed. At the horizon 90.0 % of the former and 50.0 %" in texts(figure)


def test_survival_of_too_few_decides_nothing_and_of_one_group_is_still_drawn() -> None:
    assert survived(trust="interview").get_label().endswith("decides nothing")
    one = survived(SURVIVAL[SURVIVAL["group_name"] == "activated"], difference=np.nan, other_share=np.nan)
    assert "not_activated" not in gids(one)
    assert one.get_label() == "No activated account can be compared with another of the same plan and size"


def test_the_names_of_curves_that_end_together_stand_apart() -> None:
    together = SURVIVAL.assign(survival=np.where(SURVIVAL["day"] == 0, 1.0, 0.9))
    figure = survived(together)
    heights = [
        artist.xy[1]
        for artist in figure.findobj(lambda artist: getattr(artist, "get_weight", str)() == "bold")
        if hasattr(artist, "xy")
    ]
    assert abs(heights[0] - heights[1]) == pytest.approx(0.09)


# --- features -------------------------------------------------------------------------------------------------------


def feature(name: str, importance: float, adoption: float, verdict: str, **changes: Any) -> dict[str, Any]:
    return {
        "feature": name, "title": name.title(), "importance": importance, "importance_low": importance - 0.01,
        "importance_high": importance + 0.01, "is_representative": True, "adoption_eligible": adoption, "adoption_all": adoption, "verdict": verdict,
        "auc": 0.7, "auc_low": 0.65, "auc_high": 0.75, "held_out_accounts": 300, "held_out_rows": 900,
    } | changes  # fmt: skip


FEATURES = [
    feature("chat", 0.05, 0.4, "differentiator"),
    feature("inbox", 0.08, 0.99, "ubiquitous"),
    feature("macros", 0.05, 0.45, "warning_sign"),
    feature("sla", 0.0, 0.3, "niche", adoption_all=0.02),
    feature("tags", 0.001, 0.5, "weak"),
    feature("seats", 0.02, np.nan, "weak", adoption_all=np.nan),
]
POLICY = pd.DataFrame({"niche_share": [0.05], "ubiquitous_share": [0.8]})


def ranked(rows: list[dict[str, Any]], policy: pd.DataFrame = POLICY) -> Any:
    return features.importance({"feature_importance": pd.DataFrame(rows), "config.policy": policy})


def test_features_stand_at_adoption_and_importance_between_the_bounds_of_the_config() -> None:
    figure = ranked(FEATURES, POLICY.assign(niche_share=0.1))
    drawn = np.asarray(by_gid(figure, "features").get_offsets()).tolist()
    # an attribute has no adoption
    assert drawn == [[0.99, 0.08], [0.4, 0.05], [0.45, 0.05], [0.5, 0.001], [0.3, 0.0]]
    assert list(by_gid(figure, "niche").get_xdata()) == [0.1, 0.1]
    assert list(by_gid(figure, "ubiquitous").get_xdata()) == [0.8, 0.8]
    named = {row["feature"] for row in FEATURES} & gids(figure)
    assert named == {"chat", "inbox", "macros"}
    assert figure.get_label() == "2 features tell accounts that stay from those that leave, first of them: Chat"
    words = texts(figure)
    assert "n = 300 held-out accounts, 900 rows. Held-out AUC 0.70 (0.65 to 0.75)." in words
    assert "Verdicts: 1 differentiator, 1 warning sign, 1 ubiquitous, 1 niche, 1 weak." in words


def test_names_of_features_do_not_overlap_however_close_their_points() -> None:
    figure = ranked([feature(f"f{number:02}", 0.02 + number * 1e-5, 0.5, "differentiator") for number in range(20)])
    page.png(figure)
    names = sorted(
        (by_gid(figure, gid) for gid in gids(figure) if gid.startswith("f") and gid != "features"), key=lambda name: -name.xyann[1]
    )
    assert [name.get_text() for name in names] == [f"F{number}" for number in range(19, 9, -1)]
    boxes = [name.get_window_extent() for name in names]
    # an annotation's box holds its leader too: the heights of the words tell
    steps = [before.xyann[1] - after.xyann[1] for before, after in pairwise(names)]
    height = page.TEXT / 72 * figure.dpi
    axes_height = names[0].axes.get_window_extent().height
    assert min(steps) * axes_height > height
    assert all(box.x1 <= figure.bbox.width for box in boxes)


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        ([feature("tags", 0.0, 0.5, "weak")], "No feature tells accounts that stay from those that leave"),
        ([feature("tags", 0.0, 0.5, "interview")], "Too few accounts to say which features go with staying: decides nothing"),
        (
            [feature("chat", 0.1, 0.5, "differentiator")],
            "1 feature tells accounts that stay from those that leave, first of them: Chat",
        ),
    ],
)
def test_the_title_of_the_features_says_the_finding(rows: list[dict[str, Any]], title: str) -> None:
    assert ranked(rows).get_label() == title


def test_of_a_group_of_correlated_features_the_representative_is_drawn() -> None:
    group = [FEATURES[0] | {"is_representative": True}, FEATURES[4] | {"is_representative": False}]
    assert np.asarray(by_gid(ranked(group), "features").get_offsets()).tolist() == [[0.4, 0.05]]


# --- chain ----------------------------------------------------------------------------------------------------------


def link(position: int, behaviour: str, outcome: str, **changes: Any) -> dict[str, Any]:
    return {
        "position": position, "behaviour": behaviour, "outcome": outcome, "cohort": "all", "cohort_from": None, "trust": "mixed", "accounts": 200,
        "reached_next_share": 0.8, "other_next_share": 0.6, "effect": 0.15, "effect_low": 0.05, "effect_high": 0.25,
    } | changes  # fmt: skip


CHAIN = [
    link(2, "usage", "retention", effect=0.3, effect_low=0.2, effect_high=0.4, accounts=150),
    link(1, "setup:invite_teammates", "activation", trust="interview", effect=0.5, effect_low=0.4, effect_high=0.6),
    link(3, "maturity", "expansion", effect=np.nan, effect_low=np.nan, effect_high=np.nan, other_next_share=np.nan),
    link(2, "usage", "retention", cohort="2025 Q1", effect=0.9),
    link(4, "usage", "maturity", accounts=0),
]


def test_the_chain_draws_both_shares_and_the_effect_of_every_link_in_order() -> None:
    figure = chain.links({"milestone_chain": pd.DataFrame(CHAIN)})
    assert figure is not None
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == ["invite teammates → activation", "usage → retention", "maturity → expansion"]
    assert [by_gid(figure, f"{side} 1").get_xdata()[0] for side in ("not", "reached", "effect")] == [0.6, 0.8, 0.3]
    assert list(by_gid(figure, "interval 1").get_xdata()) == [0.2, 0.4]
    # what is unknown is not drawn
    assert {"not 2", "effect 2", "interval 2"}.isdisjoint(gids(figure))
    assert by_gid(figure, "reached 0").get_markerfacecolor() != by_gid(figure, "reached 1").get_markerfacecolor()
    assert figure.get_label() == (
        "Usage goes with +30.0 points (+20.0 to +40.0) of retention among accounts alike: the strongest link of the chain"
    )
    assert "n = 150 to 200 accounts in a link, of all cohorts. 1 of 3 links (hollow, grey) have too few accounts" in texts(figure)


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"trust": "interview"}, "Too few accounts in every link of the chain: decides nothing"),
        ({"effect_low": -0.01}, "No link of the chain goes with more of the next milestone, among accounts alike"),
    ],
)
def test_a_chain_without_a_link_that_can_be_told_says_so(changes: dict[str, Any], title: str) -> None:
    figure = chain.links({"milestone_chain": pd.DataFrame([link(1, "usage", "retention", **changes)])})
    assert figure is not None
    assert figure.get_label() == title


def cohort_of(position: int, cohort: str, effect: float, **changes: Any) -> dict[str, Any]:
    low, high = effect - 0.1, effect + 0.1
    return link(position, f"step_{position}", "retention", cohort=cohort, effect=effect, effect_low=low, effect_high=high) | {
        "cohort_from": None if cohort == "all" else f"{cohort[:4]}-{3 * int(cohort[-1]) - 2:02}-01"
    } | changes  # fmt: skip


def test_single_cohorts_stand_by_time_beside_the_effect_of_all() -> None:
    rows = [cohort_of(1, "all", 0.2), cohort_of(2, "all", 0.1), cohort_of(1, "2025 Q2", 0.3), cohort_of(1, "2025 Q1", -0.05)]
    figure = chain.links({"milestone_chain": pd.DataFrame(rows)})
    assert figure is not None
    # the first two are the links of all cohorts; of the second link no cohort alone can be trusted
    panel = figure.axes[2]
    assert (len(figure.axes), panel.get_title(loc="left")) == (3, "step 1 → retention")
    drawn = [(by_gid(figure, f"cohort 0 {number}"), by_gid(figure, f"cohort interval 0 {number}")) for number in (0, 1)]
    assert [point.get_ydata()[0] for point, _ in drawn] == [-0.05, 0.3]
    assert [list(line.get_ydata()) for _, line in drawn] == [pytest.approx([-0.15, 0.05]), pytest.approx([0.2, 0.4])]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["2025 Q1", "2025 Q2"]
    assert by_gid(figure, "all 0").get_ydata()[0] == 0.2
    band = by_gid(figure, "all band 0")
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.1, 0.3))
    assert "where the trust in the cohort is not interview" in texts(figure)
    # the panel lies below the links, and inside the page
    assert 0 < panel.get_position().y0 < panel.get_position().y1 < figure.axes[0].get_position().y0
    alone = chain.links({"milestone_chain": pd.DataFrame(rows[:2])})
    assert alone is not None
    assert len(alone.axes) == 2
    assert "No single cohort has accounts enough to be shown alone." in texts(alone)


def test_at_most_six_links_are_drawn_by_cohort_and_labels_do_not_overlap() -> None:
    quarters = [f"{year} Q{quarter}" for year in range(2020, 2025) for quarter in (1, 2, 3, 4)]
    rows = [cohort_of(position, "all", 0.2) for position in range(1, 9)]
    # the second and the fourth link have the fewest cohorts
    rows += [
        cohort_of(position, quarter, 0.2) for position in range(1, 9) for quarter in quarters[: 3 if position in {2, 4} else 20]
    ]
    rows.append(cohort_of(9, "all", np.nan))
    chosen = cohorts.by_cohort(pd.DataFrame(rows))
    assert [one[0]["position"] for one in chosen] == [1, 3, 5, 6, 7, 8]
    assert [row["cohort"] for row in chosen[0]] == ["all", *quarters]
    figure = chain.links({"milestone_chain": pd.DataFrame(rows)})
    assert figure is not None
    assert len(page.png(figure)) < page.LIMIT
    for panel in figure.axes[2:]:
        boxes = [tick.get_window_extent() for tick in panel.get_xticklabels()]
        assert all(before.x1 < after.x0 for before, after in pairwise(boxes))
    titles = [panel._left_title.get_window_extent() for panel in figure.axes[2:5]]
    assert all(before.x1 < after.x0 for before, after in pairwise(titles))


# --- areas ----------------------------------------------------------------------------------------------------------


def of_areas(number: int, **changes: Any) -> Any:
    names = [f"area{place}" for place in range(number)]
    curve = pd.concat([CURVE.assign(area=name, position=place) for place, name in enumerate(names, start=1)])
    rows = [
        FOUND | {"area": name, "title": f"Chats of {name}", "measure": "days", "position": place} | changes
        for place, name in enumerate(names, start=1)
    ]
    # the last area is asked and has no candidate
    none = {
        "area": "none",
        "title": "None",
        "measure": "count",
        "position": number + 1,
        "is_signal": False,
        "reason": "x",
        "pick": np.nan,
    }
    return areas.curves({"area_threshold_curve": curve, "area_thresholds": pd.DataFrame([*rows, FOUND | none])})


def test_each_area_has_a_panel_with_curve_band_pick_and_adopted_value() -> None:
    figure = of_areas(3)
    assert len(figure.axes) == 3
    assert list(by_gid(figure, "area1 response").get_ydata()) == [0.5, 0.6, 0.6, 0.9, 0.9]
    assert list(by_gid(figure, "area2 picked").get_xdata()) == [10.0, 10.0]
    assert list(by_gid(figure, "area0 adopted").get_xdata()) == [5.0, 5.0]
    shaded = by_gid(figure, "area0 stability")
    assert (shaded.get_x(), shaded.get_x() + shaded.get_width()) == (8.0, 12.0)
    assert by_gid(figure, "area0 finding").get_text() == "+20.0 points (+10.0 to +30.0), trust mixed"
    words = texts(figure)
    assert "picked 10, 8 to 12" in words
    assert "Days in the month" in words
    assert "3 of 4 areas are drawn, the first of the config that have candidates." in words
    assert (
        figure.get_label() == "3 of 3 product areas have thresholds that go with staying, most of all: Chats of area0, from 10 on"
    )


def test_six_areas_at_most_are_drawn_in_one_small_picture() -> None:
    figure = of_areas(8)
    assert len(figure.axes) == areas.MOST == 6
    assert len(page.png(figure)) < page.LIMIT
    # two to a line: neither overlap nor leave the page
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert all(left.x1 < right.x0 for left, right in zip(boxes[::2], boxes[1::2], strict=True))
    assert all(upper.y0 > lower.y1 for upper, lower in zip(boxes, boxes[2:], strict=False))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"is_signal": False, "reason": "q over the areas above .05"}, "No product area has a threshold that goes with staying"),
        (
            {"is_signal": False, "reason": "trust is interview", "trust": "interview"},
            "Too few accounts in every product area to tell whether its metric goes with staying: decides nothing",
        ),
    ],
)
def test_areas_without_a_signal_say_so(changes: dict[str, Any], title: str) -> None:
    figure = of_areas(2, **changes)
    assert figure.get_label() == title
    assert by_gid(figure, "area1 finding").get_text() == f"no signal: {changes['reason']}"


# --- nothing to draw ------------------------------------------------------------------------------------------------


def test_an_empty_table_has_no_chart() -> None:
    assert threshold(CURVE.iloc[:0]) is None
    assert survived(SURVIVAL.iloc[:0]) is None
    assert ranked([feature("chat", np.nan, 0.5, "weak")]) is None
    assert chain.links({"milestone_chain": pd.DataFrame(CHAIN).iloc[:0]}) is None
    found = pd.DataFrame([FOUND | {"area": "one", "position": 1}])
    assert areas.curves({"area_threshold_curve": CURVE.iloc[:0].assign(area=""), "area_thresholds": found}) is None


# --- review ---------------------------------------------------------------------------------------------------------


def reviewed(position: int, milestone: str, **changes: Any) -> dict[str, Any]:
    return {
        "position": position, "milestone": milestone, "proposal": "keep", "is_weakened": False, "is_retune": False, "weakened_by": 0.02,
        "reference_accounts": 900, "reference_trust": "mixed", "accounts": 700, "trust": "mixed",
        "reference_gap": 0.2, "reference_gap_low": 0.12, "reference_gap_high": 0.28, "gap": 0.18, "gap_low": 0.1, "gap_high": 0.26,
        "slope": -0.01, "slope_low": -0.03, "slope_high": 0.01,
    } | changes  # fmt: skip


def test_the_review_draws_the_gaps_before_and_since_and_the_slopes() -> None:
    unknown = dict.fromkeys(("gap", "gap_low", "gap_high", "slope", "slope_low", "slope_high"), np.nan)
    rows = [
        reviewed(2, "usage", trust="interview", proposal="cannot tell", **unknown),
        reviewed(1, "activation", is_weakened=True, is_retune=True, weakened_by=0.15, proposal="retune"),
        reviewed(3, "maturity", accounts=0, reference_accounts=0),
    ]
    figure = review.gaps({"framework_review": pd.DataFrame(rows)})
    assert figure is not None
    assert [by_gid(figure, f"{name} 0").get_xdata()[0] for name in ("before", "since", "slope")] == [0.2, 0.18, -0.01]
    assert list(by_gid(figure, "since interval 0").get_xdata()) == [0.1, 0.26]
    assert list(by_gid(figure, "before 1").get_xdata()) == [0.2]
    assert {"since 1", "slope 1", "before 2"}.isdisjoint(gids(figure))
    assert [by_gid(figure, f"proposal {line}").get_text() for line in (0, 1)] == ["retune", "cannot tell"]
    assert figure.get_label() == "Activation has weakened by 15.0 points and wants another threshold"
    assert "usage 900 before (mixed), 700 since (interview)" in texts(figure)


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "No milestone is shown to have weakened"),
        ({"proposal": "retire"}, "Usage is proposed to retire"),
        (
            {"proposal": "cannot tell", "slope": np.nan},
            "Too few accounts since the adopted version to review any milestone: decides nothing",
        ),
    ],
)
def test_the_title_of_the_review_says_its_alarms(changes: dict[str, Any], title: str) -> None:
    figure = review.gaps({"framework_review": pd.DataFrame([reviewed(1, "usage", **changes)])})
    assert figure is not None
    assert figure.get_label() == title
    assert ("too few quarters" in texts(figure)) == ("slope" in changes)


def test_a_review_of_nobody_has_no_chart() -> None:
    assert review.gaps({"framework_review": pd.DataFrame([reviewed(1, "usage", accounts=0, reference_accounts=0)])}) is None
