#!/bin/sh
# ZooKeeper's own command line client; connects to this container's server unless -server is given.
set -eu
exec java -Xmx64m -XX:TieredStopAtLevel=1 -cp "/opt/zookeeper/lib/*" org.apache.zookeeper.ZooKeeperMain "$@"
