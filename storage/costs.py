"""Costs of subsets: size and arithmetic, and speeds as measured on devices."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Engine, delete, insert, select

from storage.database import patient, read, utc_now, write
from storage.schema import Cost, Speed, Study
from storage.values.subset_key import Subset


@dataclass(frozen=True, slots=True)
class CostRecord:
    """Size and arithmetic of the model that keeps one subset.

    Attributes:
        parameters: all parameters.
        embedding_parameters: those of the embedding tables.
        layer_parameters: those of the layers.
        bytes: size of the weights that an export writes.
        query_flops: floating-point operations per token of a query.
        document_flops: floating-point operations per token of a document.
    """

    parameters: int
    embedding_parameters: int
    layer_parameters: int
    bytes: int
    query_flops: int
    document_flops: int


@dataclass(frozen=True, slots=True)
class SpeedRecord:
    """Encode throughput of one subset on one device, relative to the whole base.

    Attributes:
        device: name of the device.
        speedup: median over rounds of the whole base's time over the subset's.
        speedup_low: the lowest of the ratios.
        speedup_high: the highest of them.
        tokens_per_second: median throughput of the subset.
        reference_tokens_per_second: median throughput of the whole base.
        rounds: number of ratios.
        documents: texts encoded in each round.
        batch_size: texts encoded at once.
        threads: threads of the processor that torch used.
        precision: `fp32` or `bf16`.
    """

    device: str
    speedup: float
    speedup_low: float
    speedup_high: float
    tokens_per_second: float
    reference_tokens_per_second: float
    rounds: int
    documents: int
    batch_size: int
    threads: int
    precision: str


@patient
def record_costs(
    engine: Engine,
    study_id: int,
    costs: Mapping[Subset, CostRecord],
    speeds: Mapping[Subset, SpeedRecord],
) -> None:
    """Store costs and speeds of subsets in one transaction, in place of earlier ones.

    Args:
        engine: the store.
        study_id: the study; nothing is stored when it was deleted.
        costs: cost by subset.
        speeds: speed by subset.
    """
    with write(engine) as connection:
        # one worker at a time: several may end together
        there = select(Study.id).where(Study.id == study_id).with_for_update()
        if connection.execute(there).first() is None:
            return

        for subset, cost in costs.items():
            old = (Cost.study_id == study_id, Cost.subset == subset)
            connection.execute(delete(Cost).where(*old))
            new = {"study_id": study_id, "subset": subset, "depth": len(subset), **asdict(cost)}
            connection.execute(insert(Cost).values(new))

        for subset, speed in speeds.items():
            measured = (Speed.study_id == study_id, Speed.subset == subset)
            connection.execute(delete(Speed).where(*measured, Speed.device == speed.device))
            row = {"study_id": study_id, "subset": subset, "depth": len(subset), **asdict(speed)}
            connection.execute(insert(Speed).values(measured_at=utc_now(), **row))


@patient
def read_costs(engine: Engine, study_id: int) -> dict[Subset, CostRecord]:
    """Return the cost of each subset of a study that has one."""
    fields = [getattr(Cost, name) for name in CostRecord.__dataclass_fields__]
    with read(engine) as connection:
        rows = connection.execute(select(Cost.subset, *fields).where(Cost.study_id == study_id))
        return {subset: CostRecord(*values) for subset, *values in rows}


@patient
def read_speeds(
    engine: Engine, study_id: int, device: str | None = None
) -> dict[Subset, SpeedRecord]:
    """Return the speed of each subset of a study, the latest first.

    Args:
        engine: the store.
        study_id: the study.
        device: measured on this device; on any device when left out, the latest of each subset.
    """
    fields = [getattr(Speed, name) for name in SpeedRecord.__dataclass_fields__]
    query = select(Speed.subset, *fields).where(Speed.study_id == study_id)
    if device is not None:
        query = query.where(Speed.device == device)

    found: dict[Subset, SpeedRecord] = {}
    with read(engine) as connection:
        for subset, *values in connection.execute(query.order_by(Speed.measured_at.desc())):
            found.setdefault(subset, SpeedRecord(*values))
    return found
