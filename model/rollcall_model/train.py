"""Training: `python -m rollcall_model.train --data SETS --out RUN`.

Labels for age and gender, a teacher's embeddings for identity, one network. Whatever is killed can be
resumed with the same command; after every epoch there are usable weights in RUN/best.safetensors. On a
CPU the batch is spread over the processors, one thread each; on GPUs the same program over the cards.
"""

from __future__ import annotations

import functools
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import shard_map
from jax.sharding import PartitionSpec as P

from rollcall_model import attributes, augment, checkpoint, data, evaluate, losses, memory, recipes, runtime
from rollcall_model.attributes import AttributeConfig, AttributeNet

VERSION = "attributes-4"


class TrainConfig(NamedTuple):
    """All that decides what a training gives, besides the data."""

    steps: int = 9000
    batch: int = 128
    rate: float = 3e-3
    warm_up: float = 0.06  # share of the steps in which the rate rises
    decay: float = 0.05
    ema: float = 0.999
    labelled: float = 0.75  # share of a batch that has an age label
    balance: float = 0.4  # 0: ages as they come; 1: every age as often
    mix: float = 0.4  # share of the faces that are blended with another
    alone: float = 0.5  # share of the recipes drawn that show one face only
    damage: float = 0.6  # how often and how far faces are moved and damaged, see `augment.augment`
    age_width: float = 1.0
    age_growth: float = 0.04
    age_weight: float = 0.05
    gender_weight: float = 1.0
    gender_smoothing: float = 0.03
    identity_weight: float = 2.0
    relation_weight: float = 4.0
    trust: float = 0.5  # how much of a target is what earlier networks said, where there are any
    seed: int = 0


class Batch(NamedTuple):
    """One step's faces; labels that are not known are -1, and teachers that are not known are 0.

    A face may be blended with a second one (Zhang et al. 2018, mixup): then it is `share` of the first,
    and the labels of both are given.
    """

    crops: np.ndarray  # uint8 (n, s, s, 3)
    ages: np.ndarray  # int32 (n, 2, 2): face, from and to
    female: np.ndarray  # float32 (n, 2)
    teacher: np.ndarray  # float32 (n, 128); of a blend, the direction between
    share: np.ndarray  # float32 (n,)
    # What earlier networks said of the face (of a blend, blended): distributions (n, 101) and P(female) (n,).
    told_age: np.ndarray
    told_female: np.ndarray


class State(NamedTuple):
    """Everything that a resumed training needs."""

    params: Any
    stats: Any
    ema: Any
    optimiser: Any
    step: Any


def sampling(faces: data.Faces, rows: np.ndarray, balance: float) -> np.ndarray:
    """Return how often each labelled row is drawn, so that rare ages are not lost; sums to 1."""
    middle = faces.ages[rows].mean(axis=1)
    counts, edges = np.histogram(middle, bins=np.arange(0, 121, 3))
    smooth = np.convolve(counts, [0.25, 0.5, 0.25], "same")
    weight = np.maximum(smooth[np.digitize(middle, edges) - 1], 4.0) ** -balance
    return np.asarray(weight / weight.sum())


def told_by(weights: Sequence[Path], faces: data.Faces) -> tuple[np.ndarray, np.ndarray]:
    """Return what earlier networks say of all faces, averaged over networks and mirror images.

    A label may be wrong and a network may have learnt it by heart; the mean of several is softer than either
    (self-distillation, Furlanello et al. 2018). Distributions (n, 101) and P(female) (n,), float32.
    """
    rows = np.arange(len(faces.samples))
    age, female = np.zeros((len(rows), losses.AGES), np.float32), np.zeros(len(rows), np.float32)
    for path in weights:
        model = attributes.AttributeModel(path)
        for start in range(0, len(rows), 512):
            part = rows[start : start + 512]
            crops = evaluate.central(faces, part, model.size)
            for view in (crops, np.ascontiguousarray(crops[:, :, ::-1])):
                said = model(view)
                age[part] += said.age / (2 * len(weights))
                female[part] += said.p_female / (2 * len(weights))
    return age, female


def batches(
    faces: data.Faces, config: TrainConfig, size: int, start: int, told: tuple[np.ndarray, np.ndarray] | None = None
) -> Iterator[Batch]:
    """Yield batches from step `start` on; step n's batch depends on the seed and n alone."""
    train = faces.where(split="train")
    labelled = train[faces.ages[train, 0] != data.UNKNOWN]
    others = np.setdiff1d(train, labelled)
    weight = sampling(faces, labelled, config.balance)
    ages, female = faces.ages.astype(np.int32), faces.female.astype(np.float32)
    count = config.batch if not len(others) else round(config.batch * config.labelled)

    def one(row: int, seed: np.random.SeedSequence) -> tuple[np.ndarray, bool]:
        rng = np.random.default_rng(seed)
        crop = augment.augment(faces.crops[row], size, data.CROP / size, rng, config.damage)
        mirrored = bool(rng.random() < 0.5)
        return (crop[:, ::-1] if mirrored else crop), mirrored

    with ThreadPoolExecutor(max(runtime.processors() // 2, 1)) as threads:
        for step in range(start, config.steps):
            seeds = np.random.SeedSequence([config.seed, step]).spawn(config.batch + 1)
            rng = np.random.default_rng(seeds[-1])
            rows = np.concatenate(
                [rng.choice(labelled, count, p=weight), rng.choice(others, config.batch - count) if len(others) else []]
            ).astype(np.int64)
            # Every device shall see every kind of face.
            rows = rng.permutation(rows)
            drawn, mirrored = zip(*threads.map(one, rows, seeds[:-1]), strict=True)
            crops, teacher = np.stack(drawn), faces.teacher[rows, np.asarray(mirrored, np.int64)]
            second = partners(faces.ages[rows, 0] != data.UNKNOWN, rng)
            share = np.where(rng.random(len(rows)) < config.mix, rng.uniform(0.5, 1, len(rows)), 1).astype(np.float32)
            blend = share[:, None, None, None]
            mixed = share[:, None] * teacher + (1 - share[:, None]) * teacher[second]
            mixed /= np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-6)
            told_age, told_female = np.zeros((len(rows), losses.AGES), np.float32), np.zeros(len(rows), np.float32)
            if told is not None:
                told_age = share[:, None] * told[0][rows] + (1 - share[:, None]) * told[0][rows[second]]
                told_female = share * told[1][rows] + (1 - share) * told[1][rows[second]]
            yield Batch(
                np.rint(blend * crops + (1 - blend) * crops[second]).astype(np.uint8),
                np.stack([ages[rows], ages[rows[second]]], 1),
                np.stack([female[rows], female[rows[second]]], 1),
                mixed,
                share,
                told_age,
                told_female,
            )


def recipe_batches(
    faces: data.Faces,
    config: TrainConfig,
    size: int,
    start: int,
    book: recipes.Recipes,
    told: tuple[np.ndarray, np.ndarray] | None = None,
) -> Iterator[Batch]:
    """Yield batches of recipes, each with the teacher's word on that very picture; otherwise as `batches`."""
    ages, female = faces.ages.astype(np.int32), faces.female.astype(np.float32)

    def one(number: int, seed: np.random.SeedSequence) -> np.ndarray:
        rng = np.random.default_rng(seed)
        face = recipes.picture(
            faces.crops, book.rows[number], book.mirrored[number], book.kind[number], book.share[number]
        )
        return augment.augment(face, size, data.CROP / size, rng, config.damage)

    kinds = [np.flatnonzero(book.kind == recipes.ALONE), np.flatnonzero(book.kind != recipes.ALONE)]
    chances = [config.alone, 1 - config.alone]
    usable = [(rows, chance) for rows, chance in zip(kinds, chances, strict=True) if len(rows) and chance > 0]

    with ThreadPoolExecutor(max(runtime.processors() // 2, 1)) as threads:
        for step in range(start, config.steps):
            seeds = np.random.SeedSequence([config.seed, step]).spawn(config.batch + 1)
            rng = np.random.default_rng(seeds[-1])
            bounds = np.cumsum([chance for _, chance in usable])
            which = np.searchsorted(bounds, rng.random(config.batch) * bounds[-1], side="right")
            drawn = np.choose(which, [rng.choice(rows, config.batch) for rows, _ in usable])
            first, second = book.rows[drawn].T
            share = book.share[drawn]
            told_age, told_female = np.zeros((len(drawn), losses.AGES), np.float32), np.zeros(len(drawn), np.float32)
            if told is not None:
                told_age = share[:, None] * told[0][first] + (1 - share[:, None]) * told[0][second]
                told_female = share * told[1][first] + (1 - share) * told[1][second]
            yield Batch(
                np.stack(list(threads.map(one, drawn, seeds[:-1]))),
                np.stack([ages[first], ages[second]], 1),
                np.stack([female[first], female[second]], 1),
                book.teacher[drawn],
                share,
                told_age,
                told_female,
            )


def partners(labelled: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each face of a batch another one that is labelled if it is."""
    result = np.arange(len(labelled))
    for kind in (labelled, ~labelled):
        result[kind] = rng.permutation(result[kind])
    return result


def ahead(source: Iterator[Batch], depth: int = 6) -> Iterator[Batch]:
    """Make batches in another thread, `depth` of them in advance; pass its errors on."""
    waiting: queue.Queue[Batch | BaseException | None] = queue.Queue(depth)

    def work() -> None:
        try:
            for batch in source:
                waiting.put(batch)
            waiting.put(None)
        except BaseException as error:
            waiting.put(error)

    threading.Thread(target=work, daemon=True).start()
    while (item := waiting.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item


def loss_function(out: attributes.Outputs, batch: Batch, config: TrainConfig) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the weighted loss of a batch and its parts."""
    has_age = batch.ages[:, 0, 0] >= 0
    has_gender = (batch.female >= 0).all(-1)
    has_teacher = (batch.teacher**2).sum(-1) > 0.5
    share = jnp.stack([batch.share, 1 - batch.share], -1)
    years = jnp.maximum(batch.ages, 0)
    bells = losses.age_targets(years.reshape(-1, 2), config.age_width, config.age_growth)
    targets = (share[..., None] * bells.reshape(-1, 2, losses.AGES)).sum(1)
    middle = (share * years.mean(-1)).sum(1)
    female = (share * batch.female).sum(1)
    told = batch.told_age.sum(-1) > 0.5
    trust = jnp.where(told, jnp.where(has_age, config.trust, 1.0), 0.0)
    targets = trust[:, None] * batch.told_age + (1 - trust[:, None]) * targets
    middle = trust * (batch.told_age @ jnp.arange(losses.AGES, dtype=jnp.float32)) + (1 - trust) * middle
    doubt = jnp.where(told, jnp.where(has_gender, config.trust, 1.0), 0.0)
    female = doubt * batch.told_female + (1 - doubt) * female
    has_age, has_gender = has_age | told, has_gender | told

    def mean(values: jax.Array, mask: jax.Array) -> jax.Array:
        return jnp.where(mask, values, 0).sum() / jnp.maximum(mask.sum(), 1)

    parts = {
        "age": mean(losses.age_loss(out.age, targets, middle, config.age_weight), has_age),
        "gender": mean(losses.gender_loss(out.female, female, config.gender_smoothing), has_gender),
        "identity": mean(losses.identity_loss(out.embedding, batch.teacher), has_teacher),  # type: ignore[arg-type]
        "relation": mean(losses.relation_loss(out.embedding, batch.teacher), has_teacher),  # type: ignore[arg-type]
    }
    total = (
        parts["age"]
        + config.gender_weight * parts["gender"]
        + config.identity_weight * parts["identity"]
        + config.relation_weight * parts["relation"]
    )
    return total, parts


class Trainer:
    """The compiled step, and what it works on."""

    def __init__(
        self,
        net_config: AttributeConfig,
        config: TrainConfig,
        kind: Callable[[AttributeConfig, nnx.Rngs], AttributeNet] = AttributeNet,
    ) -> None:
        self.net_config, self.config = net_config, config
        net = kind(net_config, nnx.Rngs(config.seed))
        self.graph, params, stats = nnx.split(net, nnx.Param, nnx.BatchStat)  # type: ignore[misc]
        self.count = attributes.parameter_count(net)
        schedule = optax.warmup_cosine_decay_schedule(
            config.rate / 20, config.rate, int(config.steps * config.warm_up), config.steps, config.rate / 500
        )
        matrices = jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        self.optimiser = optax.chain(
            optax.clip_by_global_norm(5.0), optax.adamw(schedule, weight_decay=config.decay, mask=matrices)
        )
        # The average begins as a copy: a step gives its inputs' memory away.
        average = jax.tree.map(jnp.copy, params)
        self.state = State(params, stats, average, self.optimiser.init(params), jnp.zeros((), jnp.int32))
        mesh = runtime.mesh()
        spread = functools.partial(shard_map, mesh=mesh, check_vma=False)
        self.step = jax.jit(spread(self._step, in_specs=(P(), P("batch")), out_specs=(P(), P())), donate_argnums=0)
        self.observe = jax.jit(spread(self._observe, in_specs=(P(), P(), P("batch")), out_specs=P()))

    def _step(self, state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        def loss(params: Any) -> tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]:
            net = nnx.merge(self.graph, params, state.stats, copy=True)  # type: ignore[has-type]
            out = net(batch.crops.astype(jnp.float32), train=True)
            total, parts = loss_function(out, batch, self.config)
            return total, (nnx.state(net, nnx.BatchStat), parts)

        (_, (stats, parts)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
        gradient, stats, parts = jax.lax.pmean((gradient, stats, parts), "batch")
        updates, optimiser = self.optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        # A young average follows quickly: what it remembers of the beginning is worth nothing.
        keep = jnp.minimum(self.config.ema, (1.0 + state.step) / (20.0 + state.step))
        ema = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, state.ema, params)
        return State(params, stats, ema, optimiser, state.step + 1), parts

    def _observe(self, params: Any, stats: Any, batch: Batch) -> Any:
        net = nnx.merge(self.graph, params, stats, copy=True)  # type: ignore[has-type]
        net(batch.crops.astype(jnp.float32), train=True)
        return jax.lax.pmean(nnx.state(net, nnx.BatchStat), "batch")

    def averaged(self, source: Iterator[Batch], count: int = 60) -> AttributeNet:
        """Return the network with averaged weights and *its own* batch statistics, taken from new batches.

        The statistics of the raw weights do not fit the averaged ones.
        """
        stats = self.state.stats
        for _, batch in zip(range(count), source, strict=False):
            stats = self.observe(self.state.ema, stats, batch)
        net: AttributeNet = nnx.merge(self.graph, self.state.ema, stats)  # type: ignore[has-type]
        return net


def refit_identity(net: AttributeNet, source: Iterator[Batch], count: int = 40, ridge: float = 1e-2) -> None:
    """Fit the identity head to the teacher's words by least squares, the trunk as it is.

    A trunk that learnt from another form of the teacher's words begins where its features can be at best.
    """
    seen, wanted = [], []
    features = jax.jit(net.features)
    for _, batch in zip(range(count), source, strict=False):
        seen.append(np.asarray(features(batch.crops.astype(np.float32))))
        wanted.append(batch.teacher)
    x, y = np.concatenate(seen).astype(np.float64), np.concatenate(wanted).astype(np.float64)
    middle, target = x.mean(0), y.mean(0)
    x, y = x - middle, y - target
    product = x.T @ x
    kernel = np.linalg.solve(product + ridge * np.trace(product) / len(product) * np.eye(len(product)), x.T @ y)
    net.identity.kernel[...] = jnp.asarray(kernel, jnp.float32)
    net.identity.bias[...] = jnp.asarray(target - middle @ kernel, jnp.float32)


def mean(trees: Sequence[Any]) -> Any:
    """Return the mean of the weights of several runs.

    Of runs that began with the same weights it is often better than each (Wortsman et al. 2022).
    """
    return jax.tree.map(lambda *leaves: functools.reduce(jnp.add, leaves) / len(leaves), *trees)


def save_state(path: Path, state: State, facts: dict[str, Any]) -> None:
    """Write all that a resumed training needs."""
    leaves = {f"{i:05d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    checkpoint.save(path, leaves, facts)


def load_state(path: Path, like: State) -> State:
    """Return what `save_state` wrote, in the form of `like`."""
    leaves, _ = checkpoint.load(path)
    old, tree = jax.tree.flatten(like)
    # A lone number comes back from the file as a row of one.
    leaves = {
        name: leaf.reshape(()) if leaf.size == 1 and not np.shape(old[int(name)]) else leaf
        for name, leaf in leaves.items()
    }
    checkpoint.check(path, {f"{i:05d}": np.shape(leaf) for i, leaf in enumerate(old)}, leaves)
    return jax.tree.unflatten(tree, [jnp.asarray(leaves[f"{i:05d}"]) for i in range(len(old))])


def export(path: Path, net: AttributeNet, facts: dict[str, Any]) -> None:
    """Write the form for use."""
    checkpoint.save(path, attributes.flat(attributes.fold(net)), {**facts, "config": net.config._asdict()})


def train(
    faces: data.Faces,
    out: Path,
    net_config: AttributeConfig,
    config: TrainConfig,
    every: int,
    resume: bool,
    folder: Path | None = None,
    *,
    first_states: Sequence[Path] = (),
    first_weights: Path | None = None,
    teachers: Sequence[Path] = (),
    book: recipes.Recipes | None = None,
) -> None:
    """Train; write RUN/state.safetensors, RUN/best.safetensors and a line to RUN/log.jsonl every `every` steps."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(net_config, config)
    click.echo(f"{trainer.count:,} parameters, {len(faces.samples):,} faces, {config.steps:,} steps of {config.batch}")
    state_file = out / "state.safetensors"
    if resume and state_file.exists():
        trainer.state = load_state(state_file, trainer.state)
        click.echo(f"resumed at step {int(trainer.state.step):,}")
    elif first_states:
        # The averaged weights of earlier runs; the optimiser begins anew.
        earlier = [load_state(path, trainer.state) for path in first_states]
        params, stats = mean([state.ema for state in earlier]), mean([state.stats for state in earlier])
        trainer.state = trainer.state._replace(params=params, stats=stats, ema=jax.tree.map(jnp.copy, params))
        click.echo(f"begins with the weights of {', '.join(str(path) for path in first_states)}")
    elif first_weights is not None:
        folded, _ = attributes.load_net(first_weights)
        some = np.random.default_rng(config.seed).choice(faces.where(split="train"), 512)
        crops = evaluate.central(faces, np.sort(some), net_config.size).astype(np.float32)
        net = attributes.unfold(folded, jnp.asarray(crops), net_config)
        if book is not None:
            refit_identity(net, recipe_batches(faces, config, net_config.size, 0, book))
        params, stats = nnx.split(net, nnx.Param, nnx.BatchStat)[1:]  # type: ignore[misc]
        trainer.state = trainer.state._replace(params=params, stats=stats, ema=jax.tree.map(jnp.copy, params))
        click.echo(f"begins with the weights of {first_weights}")
    told = told_by(teachers, faces) if teachers else None
    first = int(trainer.state.step)
    facts = {"version": VERSION, "training": config._asdict()}
    began, sums, seen = time.perf_counter(), dict[str, float](), 0
    source = (
        batches(faces, config, net_config.size, first, told)
        if book is None
        else recipe_batches(faces, config, net_config.size, first, book, told)
    )
    for number, batch in enumerate(ahead(source), first + 1):
        trainer.state, parts = trainer.step(trainer.state, batch)
        if number % 10 == 0:
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            seen += 1
        if number % 50 == 0:
            rate = (number - first) * config.batch / (time.perf_counter() - began)
            left = (config.steps - number) * config.batch / rate / 60
            text = "  ".join(f"{name} {value / seen:.3f}" for name, value in sums.items())
            click.echo(f"step {number:6,}  {text}  {rate:.0f} faces/s  {left:.0f} min left")
        if number % every == 0 or number == config.steps:
            watch = batches(
                faces, config._replace(seed=config.seed + 1, steps=number + 60, mix=0), net_config.size, number
            )
            net = trainer.averaged(watch)
            export(out / "best.safetensors", net, facts)
            scores = evaluate.quick(out / "best.safetensors", faces, folder)
            save_state(state_file, trainer.state, facts)
            line = {
                "step": number,
                "seconds": round(time.perf_counter() - began, 1),
                **{name: round(value / max(seen, 1), 4) for name, value in sums.items()},
                **scores,
            }
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            click.echo("   ".join(f"{name} {value}" for name, value in scores.items()))
            sums, seen = {}, 0


@click.command()
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Folder of the sets: utkface, lfw and celeba, each a table and a tar, and the teacher's embeddings.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; it can be resumed.")
@click.option("--crops", type=click.Path(path_type=Path), help="Folder of the aligned crops; default OUT/crops.")
@click.option("--steps", default=TrainConfig().steps, show_default=True, help="How many steps to train.")
@click.option("--batch", default=TrainConfig().batch, show_default=True, help="Faces in a step.")
@click.option("--rate", default=TrainConfig().rate, show_default=True, help="The highest learning rate.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option(
    "--init",
    "first_states",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="state.safetensors of an earlier run to begin with; of several, their mean.",
)
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Weights of an earlier run whose word is half of each target; may be repeated.",
)
@click.option(
    "--begin",
    "first_weights",
    type=click.Path(path_type=Path, exists=True),
    help="Weights in the form for use to begin with, as committed.",
)
@click.option(
    "--recipes",
    "books",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="What rollcall_model.recipes wrote; all pictures are taken from it. May be repeated.",
)
@click.option("--every", default=500, show_default=True, help="Steps between checkpoints.")
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Any other field of TrainConfig or AttributeConfig."
)
def main(
    folder: Path,
    out: Path,
    crops: Path | None,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    every: int,
    pairs: tuple[str, ...],
    first_states: tuple[Path, ...],
    first_weights: Path | None,
    teachers: tuple[Path, ...],
    books: tuple[Path, ...],
) -> None:
    """Train the attribute network on labelled faces and a teacher's embeddings."""
    memory.keep()
    runtime.configure(out / "compiled")
    config = TrainConfig(steps=steps, batch=batch, rate=rate, seed=seed)
    net_config = AttributeConfig()
    for pair in pairs:
        name, _, text = pair.partition("=")
        value = json.loads(text)
        value = tuple(value) if isinstance(value, list) else value
        if name in TrainConfig._fields:
            config = config._replace(**{name: value})  # type: ignore[arg-type]
        elif name in AttributeConfig._fields:
            net_config = net_config._replace(**{name: value})  # type: ignore[arg-type]
        else:
            raise click.BadParameter(f"{name!r} is neither a field of TrainConfig nor of AttributeConfig")
    crops = crops or out / "crops"
    if not (crops / "samples.jsonl").exists():
        from rollcall_model.cascade import Detector

        click.echo("finding and aligning the faces, once")
        data.prepare(
            data.shared_samples(folder),
            data.shared_opener(folder),
            Detector().detect,
            crops,
            lambda done, total: click.echo(f"  {done:,} of {total:,}"),
        )
    faces = data.load(crops, folder / "teacher-dlib.npz")
    train(
        faces,
        out,
        net_config,
        config,
        every,
        resume=True,
        folder=folder,
        first_states=first_states,
        first_weights=first_weights,
        teachers=teachers,
        book=recipes.load(books) if books else None,
    )


if __name__ == "__main__":
    main()
