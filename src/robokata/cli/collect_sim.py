"""`kata collect sim`: demonstrations in a simulated world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robokata.cli.grouped_help import option_group

_world, _expert, _page = option_group("World"), option_group("With --expert"), option_group("In the browser")


def sim(
    task: Annotated[str, typer.Argument(help="lift, stack, pick_place, push, ...; a wrong name lists them.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the episodes; default: collected/TASK.")] = None,
    expert: Annotated[bool, typer.Option("--expert", help="Record the scripted expert instead of you.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: one object, or one per event of the page.")] = False,
    robot: Annotated[str | None, _world(help="Robot; default: the task's usual one.")] = None,
    seed: Annotated[int, _world(min=0, help="The same seed gives the same episodes.")] = 0,
    reset_range: Annotated[str, _world(help="How far apart resets lie: D0, D1, D2.")] = "D0",
    size: Annotated[str | None, _world(help="Pixels, HEIGHTxWIDTH; 480x640 by you, 128x128 else; 0: none.")] = None,
    episodes: Annotated[int, _expert(min=1, help="Episodes to record.")] = 10,
    clumsy: Annotated[float, _expert(min=0, max=1, help="Pauses, detours and missed grasps: 0 none.")] = 0.0,
    operators: Annotated[int, _expert(min=1, help="Different operators who take turns.")] = 1,
    realistic: Annotated[bool, _expert("--realistic", help="Camera 30 Hz, joints 100, force 500; noisy.")] = False,
    sensor: Annotated[list[str] | None, _expert(help="NAME=VALUE: camera_hz, joints_latency_s, ...")] = None,
    factor: Annotated[list[str] | None, _expert(help="NAME[=MAGNITUDE]: light, distractors, ...")] = None,
    depth: Annotated[bool, _expert("--depth", help="Depth pictures and segmentation too.")] = False,
    keep_failures: Annotated[bool, _expert("--keep-failures", help="Keep failed attempts, labelled.")] = False,
    workers: Annotated[int | None, _expert(min=1, help="Processes; default: one per core.")] = None,
    operator: Annotated[str, _page(help="Your name, as the episodes keep it.")] = "operator",
    host: Annotated[str, _page(help="Where the page is served; 0.0.0.0 for a headset, with TLS.")] = "127.0.0.1",
    port: Annotated[int, _page(min=0, max=65535, help="Port of the page; 0 for any free one.")] = 8100,
) -> None:
    """Record demonstrations of a task: by its scripted expert, or by you in the browser.

    \b
    Examples:
      kata collect sim stack
      kata collect sim stack --expert --episodes 50 --reset-range D1 --out fifty
    """
    from robokata.cli.choice import size_of
    from robokata.cli.collect_page import show_event, show_event_as_json, show_session
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.collection.collect_expert import collect_expert
    from robokata.collection.collect_page import collect_page
    from robokata.viewing.terminal.jobs import show_production

    if not expert:
        session = collect_page(
            task, out=out, robot=robot, seed=seed, reset_range=reset_range, operator=operator, host=host, port=port,
            size_px=size_of(size or "480x640") or (480, 640), on_event=show_event_as_json if json else show_event,
        )  # fmt: skip
        show_session(session, as_json=json)
        return
    with progress_bar(f"recording the expert at {task}") as bar:
        made = collect_expert(
            task, out=out, robot=robot, episodes=episodes, seed=seed, reset_range=reset_range, clumsiness_share=clumsy,
            operators=operators, size_px=size_of(size or "128x128"), depth=depth, realistic=realistic,
            sensors=sensor or (), factors=factor or (), keep_failures=keep_failures, workers=workers, on_progress=bar,
        )  # fmt: skip
    print_json_of([made]) if json else show_production(made)
