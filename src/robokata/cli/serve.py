"""`kata serve`: a policy for whoever speaks openpi's websocket protocol."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    checkpoint: Annotated[str, typer.Argument(help="Folder of a trained policy, or the address of another server.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8000,
    host: Annotated[str, typer.Option(help="0.0.0.0 opens it to the network: then set an --api-key.")] = "127.0.0.1",
    protocol: Annotated[str, typer.Option(help="openpi, or roboarena.")] = "openpi",
    api_key: Annotated[str | None, typer.Option(envvar="KATA_API_KEY", help="Wanted of every client.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the network.")] = 1,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the policy.")] = None,
) -> None:
    """Answer observations with actions until Ctrl-C, to several clients at once; `/healthz` says OK.

    \b
    Examples:
      kata serve stack-small_vla --port 8000
      kata evaluate ws://localhost:8000 --task stack
    """
    from robokata.evaluation.serve import serve as run
    from robokata.runtime.options import parse_assignments

    try:
        run(
            checkpoint, host=host, port=port, protocol=protocol, api_key=api_key, device=device, threads=threads,
            options=parse_assignments(option or (), "--option"), on_line=lambda line: typer.echo(line, err=True),
        )  # fmt: skip
    except KeyboardInterrupt:
        # How a server ends is no interruption.
        typer.echo("\nstopped", err=True)
