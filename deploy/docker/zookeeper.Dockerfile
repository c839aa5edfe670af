# Apache ZooKeeper of Debian (3.8). Understands the settings of the official image: ZOO_MY_ID, ZOO_SERVERS,
# ZOO_TICK_TIME, ZOO_INIT_LIMIT, ZOO_SYNC_LIMIT, ZOO_MAX_CLIENT_CNXNS, ZOO_4LW_COMMANDS_WHITELIST, ZOO_CFG_EXTRA,
# JVMFLAGS, so either can be used.
ARG PARENT=weir/base:latest
FROM ${PARENT}

# Unpacked and not installed: the packages would bring a second Java with a desktop's libraries.
RUN apt-get update -q && mkdir /tmp/debs && cd /tmp/debs \
 && apt-get download -q zookeeper libzookeeper-java libslf4j-java liblog4j1.2-java libdropwizard-metrics-java \
      libsnappy-java libnetty-java libcommons-cli-java libjline2-java libjansi-java libjansi-native-java libhawtjni-runtime-java \
 && for package in *.deb; do dpkg -x "$package" /; done \
 && cd / && rm -rf /tmp/debs /var/lib/apt/lists/* \
 && mkdir -p /opt/zookeeper/lib && cd /usr/share/java \
 && cp -L zookeeper.jar zookeeper-jute.jar slf4j-api.jar slf4j-log4j12.jar log4j-1.2.jar metrics-core.jar snappy-java.jar \
      netty-[bchrt]*[a-z].jar commons-cli.jar jline2.jar jansi.jar jansi-native.jar hawtjni-runtime.jar /opt/zookeeper/lib/

COPY deploy/docker/zookeeper-entrypoint deploy/docker/zkCli.sh /usr/local/bin/
ENV ZOO_DATA_DIR=/data
VOLUME /data
EXPOSE 2181 2888 3888
ENTRYPOINT ["tini", "-g", "--", "zookeeper-entrypoint"]
