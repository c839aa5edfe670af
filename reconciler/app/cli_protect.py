"""`weir protect`: the ACLs of an installation that is there already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from reconciler.app.cli_errors import NO_ZOOKEEPER, USAGE, Problem
from reconciler.app.cli_services import CONNECT_S, SESSION_S, Services, check_hosts, check_root, quiet, why_not


@click.command()
@click.option(
    "--config", "path", metavar="FILE", type=click.Path(path_type=Path), help="Configuration, TOML (WEIR_CONFIG)."
)
@click.option("--zk", metavar="HOSTS", help="ZooKeeper, as HOST:PORT[,HOST:PORT...].")
@click.option("--root", metavar="PATH", help="Root of the installation.")
@click.option("--open", "opened", is_flag=True, help="Take every protection away again.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.pass_obj
def protect(
    services: Services, /, path: Path | None, zk: str | None, root: str | None, *, opened: bool, dry_run: bool
) -> None:
    """Set the ACLs that the configuration names on every node of the tree.

    Needs `zookeeper.auth_file` and `zookeeper.acl_users`. It is safe while replicas run, if all of
    them have the same file already, and safe to repeat: for jobs that users wrote without an ACL,
    for instance.
    """
    from reconciler.app import config as configuration
    from reconciler.ports import StoreUnavailable
    from state import protect as acls
    from state.client import Calls, connect
    from state.layout import Layout

    services = replace(services, zk=zk or services.zk, root=root or services.root)
    loaded = configuration.load(
        path or services.config, {("zookeeper", "hosts"): services.zk, ("zookeeper", "root"): services.root}
    )
    hosts, layout = check_hosts(loaded.zookeeper.hosts), Layout(check_root(loaded.zookeeper.root))
    access = loaded.zookeeper.access()
    if access.protection is None and not opened:
        raise Problem(
            "nothing says who may write desired state: set zookeeper.acl_users in the configuration, "
            'for example to ["world:anyone"], and name it with --config',
            USAGE,
        )
    quiet()
    try:
        client = connect(hosts, session_timeout=SESSION_S, timeout=CONNECT_S, access=access)
    except StoreUnavailable:
        raise Problem(why_not(hosts, access.tls), NO_ZOOKEEPER) from None
    changed = 0
    try:
        for change in acls.protect(Calls(client), layout, None if opened else access.protection, dry=dry_run):
            click.echo(f"{change.path}: {change.before} -> {change.after}")
            changed += 1
    finally:
        client.stop()
        client.close()
    verb = "would change" if dry_run else "changed"
    click.echo(f"{verb} {changed} nodes below {layout.root}" if changed else f"{layout.root} is as configured")
