"""`kata collect sim`: demonstrations in a simulated world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def sim(
    task: Annotated[str, typer.Argument(help="lift, stack, pick_place, push, ...; a wrong name lists them.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the episodes; collected/TASK where not given.")] = None,
    robot: Annotated[str | None, typer.Option(help="Robot, where not the task's usual one.")] = None,
    expert: Annotated[bool, typer.Option("--expert", help="Record the scripted expert instead of you.")] = False,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to record.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same episodes.")] = 0,
    width: Annotated[str, typer.Option(help="How far apart resets lie: D0, D1, D2.")] = "D0",
    clumsy: Annotated[float, typer.Option(min=0, max=1, help="Pauses, detours and missed grasps: 0 none.")] = 0.0,
    operators: Annotated[int, typer.Option(min=1, help="Different operators who take turns.")] = 1,
    size: Annotated[str | None, typer.Option(help="Height x width of pictures: 480x640 by you, 128x128 else.")] = None,
    realistic: Annotated[bool, typer.Option("--realistic", help="Camera 30 Hz, joints 100, force 500; noisy.")] = False,
    sensor: Annotated[list[str] | None, typer.Option(help="NAME=VALUE: camera_hz, joints_latency_s, ...")] = None,
    factor: Annotated[list[str] | None, typer.Option(help="NAME[=MAGNITUDE]: light, distractors, ...")] = None,
    depth: Annotated[bool, typer.Option("--depth", help="Depth pictures and segmentation too.")] = False,
    keep_failures: Annotated[bool, typer.Option("--keep-failures", help="Keep failed attempts, labelled.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core where not given.")] = None,
    operator: Annotated[str, typer.Option(help="Your name, as the episodes keep it.")] = "operator",
    host: Annotated[str, typer.Option(help="Where the page is served; 0.0.0.0 for a headset, with TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 for any free one.")] = 8100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: one object, or one per event of the page.")] = False,
) -> None:
    """Record demonstrations of a task: by its scripted expert, or by you in the browser."""
    from robokata.cli.choice import one_of, size_of
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.collection.scripted import ExpertJob, collect_expert
    from robokata.core.world import Width
    from robokata.sim.cameras import Filming
    from robokata.sim.demonstration import scene_of
    from robokata.sim.gl import backend
    from robokata.sim.sensors import REALISTIC, Sensors, sensors_from
    from robokata.sim.variation import variation_from
    from robokata.viewing.terminal.jobs import show_production

    scene, folder = scene_of(task, robot), out or Path("collected") / task
    if not expert:
        from robokata.cli.collect_page import PAGE_HZ, demonstrate

        seen = size_of(size or "480x640") or (480, 640)
        scene, chosen = scene_of(task, robot, control_hz=PAGE_HZ), one_of(Width, width, "width")
        demonstrate(scene, folder, width=chosen, seed=seed, size=seen, who=operator, at=(host, port), json=json)
        return
    pixels = size_of(size or "128x128")
    variation = variation_from(factor or (), seed=seed)
    job = ExpertJob(
        scene=replace(scene, distractors=variation.distractors),
        variation=variation,
        width=one_of(Width, width, "width"),
        seed=seed,
        filming=Filming(*pixels, depth=depth, segmentation=depth) if pixels else None,
        sensors=sensors_from(sensor or (), REALISTIC if realistic else Sensors()),
        clumsiness_share=clumsy,
        operators=operators,
        keep_failures=keep_failures,
    )
    with progress_bar(f"recording the expert at {task} (pictures by {backend().name})") as bar:
        bar.started(episodes)
        made = collect_expert(job, folder, episodes=episodes, workers=workers, advance=bar.advance)
    if json:
        print_json_of([made])
    else:
        show_production(made)
