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
    """Answer observations with actions until Ctrl-C, to several clients at once; `/healthz` says OK."""
    from robokata.cli.choice import named_values
    from robokata.learn.open_policy import is_address, open_policy
    from robokata.policies._openpi.server import PolicyServer

    # A server behind this one has no threads of ours.
    ours = {} if is_address(checkpoint) else {"threads": str(threads)}
    policy = open_policy(checkpoint, device=device, options={**ours, **named_values(option)})
    spec = policy.hello()
    typer.echo(f"{spec.name}: {spec.chunk_steps} actions at {spec.rate_hz:g} Hz ({spec.action_stream})", err=True)
    server = PolicyServer(policy, protocol=protocol, api_key=api_key, say=lambda line: typer.echo(line, err=True))
    try:
        server.serve(host, port, ready=lambda taken: typer.echo(f"listening on ws://{host}:{taken}", err=True))
    except KeyboardInterrupt:
        # How a server ends is no interruption.
        typer.echo("\nstopped", err=True)
