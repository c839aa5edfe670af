# What every image of this directory starts from: a small Debian with Java, Python and the tools of the test suites
# (iptables and ip for faults of the network). Java and Python are the versions that Flink 1.20 and 2.x support.
ARG DEBIAN=debian:bookworm-slim
FROM ${DEBIAN}

ENV LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive
# Images without documentation lack the directory of manual pages, and the Java package fails on that.
RUN mkdir -p /usr/share/man/man1 \
 && apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
      ca-certificates openjdk-17-jre-headless python3 python3-venv tini iproute2 iptables procps netcat-openbsd \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb

# Failed look-ups are remembered for 10 s by default: an ensemble that is started together would wait that long.
RUN printf 'networkaddress.cache.negative.ttl=0\nnetworkaddress.cache.ttl=1\n' > /etc/java-dns.properties
ENV JAVA_HOME=/usr/lib/jvm/java-17-openjdk-amd64

COPY deploy/docker/with-build-env /usr/local/bin/
COPY deploy/docker/build-env/ /opt/build-env/
