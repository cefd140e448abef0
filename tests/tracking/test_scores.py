from datetime import UTC, timedelta

import pytest
from mlflow.entities import Run

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.settings import Settings
from cas_spark.tracking.scores import log_measures, not_yet_logged
from cas_spark.tracking.store import Store
from cas_spark.tracking.week import log_models
from tests.tracking.weeks import FINISHED, POLL, evaluations_of, manifest_of, models_of


@pytest.fixture
def parent(store: Store, settings: Settings, catalogue: Catalogue) -> str:
    manifest = manifest_of(settings)
    return log_models(store, settings, manifest, models_of(catalogue), catalogue)


def child_of(store: Store, parent: str) -> Run:
    run = store.client.get_run(parent)
    [child] = store.client.search_runs(
        [run.info.experiment_id], "tags.team = 'a1' and tags.priority = 'robbery'"
    )
    return child


def history(store: Store, run_id: str, metric: str) -> list[float]:
    return [m.value for m in store.client.get_metric_history(run_id, metric)]


def test_measures_that_become_known_later_are_added_beside_their_baselines(
    store: Store, parent: str
) -> None:
    assert log_measures(store, evaluations_of(horizons=["current"])) == 1
    metrics = child_of(store, parent).data.metrics
    assert metrics["caught_share_at_3_percent.current"] == 0.2
    assert metrics["caught_share_at_3_percent.current.all_history_count"] == 0.1
    assert metrics["incidents.current"] == 10
    assert "caught_share_at_3_percent.early_1w" not in metrics
    assert log_measures(store, evaluations_of(horizons=["early_1w"])) == 1
    metrics = child_of(store, parent).data.metrics
    assert metrics["caught_share_at_3_percent.early_1w"] == 0.2
    assert metrics["caught_share_at_3_percent.current"] == 0.2


def test_of_a_baseline_only_what_it_catches_is_logged(store: Store, parent: str) -> None:
    rows = evaluations_of(horizons=["current"])
    log_measures(
        store, [*rows, *(type(r)(**{**r.asDict(), "measure": "pai_at_3_percent"}) for r in rows)]
    )
    found = {name for name in child_of(store, parent).data.metrics if "at_3_percent" in name}
    assert found == {
        "caught_share_at_3_percent.current",
        "caught_share_at_3_percent.current.all_history_count",
        "pai_at_3_percent.current",
    }


def test_the_week_has_the_share_of_the_incidents_of_all_teams_together(
    store: Store, parent: str
) -> None:
    rows = [
        *evaluations_of(teams=["a1"], caught=10),
        *evaluations_of(teams=["b2"], priorities=["burglary"], caught=0),
        *evaluations_of(teams=["b2"], priorities=["robbery"], caught=4),
    ]
    log_measures(store, rows)
    metrics = store.client.get_run(parent).data.metrics
    assert metrics["caught_share_at_3_percent.current"] == 24 / 40
    assert metrics["burglary/caught_share_at_3_percent.current"] == 10 / 20
    assert metrics["robbery/caught_share_at_3_percent.current"] == 14 / 20
    assert metrics["caught_share_at_3_percent.current.all_history_count"] == 0.1


def test_the_same_measures_again_add_nothing_and_others_take_over(
    store: Store, parent: str
) -> None:
    name = "caught_share_at_3_percent.current"
    log_measures(store, evaluations_of(caught=5))
    assert log_measures(store, evaluations_of(caught=5, run_number=2)) == 0
    assert log_measures(store, evaluations_of(caught=3, run_number=3)) == 2
    child = child_of(store, parent)
    assert child.data.metrics[name] == 0.3
    assert sorted(history(store, child.info.run_id, name)) == [0.3, 0.5]


def test_a_crash_in_the_middle_leaves_no_measure_twice(
    store: Store, parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_batch, calls = store.client.log_batch, []

    def crash_at_the_third(*args: object, **kwargs: object) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        log_batch(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(store.client, "log_batch", crash_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        log_measures(store, evaluations_of())
    monkeypatch.undo()
    assert log_measures(store, evaluations_of()) == 2
    for child in store.children_of(store.client.get_run(parent)):
        name = "caught_share_at_3_percent.current"
        assert history(store, child.info.run_id, name) == [0.2]


def test_only_what_is_not_logged_yet_is_asked_for(store: Store, parent: str) -> None:
    as_of = FINISHED.replace(tzinfo=None)
    scored = [(POLL, "current", as_of), (POLL, "early_1w", as_of)]
    assert not_yet_logged(store, scored) == [(POLL, "current"), (POLL, "early_1w")]
    log_measures(store, evaluations_of(horizons=["current"]))
    tag = store.client.get_run(parent).data.tags["scored_as_of.current"]
    assert tag == as_of.astimezone(UTC).isoformat()
    assert not_yet_logged(store, scored) == [(POLL, "early_1w")]
    again = [(POLL, "current", as_of + timedelta(days=7))]
    assert not_yet_logged(store, again) == [(POLL, "current")]


def test_measures_of_a_poll_that_was_never_logged_are_said_and_left_out(
    store: Store, parent: str, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = POLL - timedelta(weeks=52)
    assert not_yet_logged(store, [(unknown, "current", FINISHED)]) == []
    assert log_measures(store, evaluations_of(poll=unknown)) == 0
    assert "MLflow has no models of ['2024-01-08']" in caplog.text


def test_an_undefined_measure_is_left_out(store: Store, parent: str) -> None:
    rows = [
        type(row)(**{**row.asDict(), "value": None, "incidents": 0, "caught": 0})
        for row in evaluations_of()
    ]
    log_measures(store, rows)
    metrics = child_of(store, parent).data.metrics
    assert "caught_share_at_3_percent.current" not in metrics
    assert metrics["incidents.current"] == 0
