# Apache Mesos 1.11.0: Apache's own build, from the Python package index, behind launchers that are compiled here
# (integration/local/README.md). Every flag of a master is a variable MESOS_<FLAG>.
ARG PARENT=weir/base:latest
FROM ${PARENT} AS build
RUN apt-get update -q && apt-get install -q -y --no-install-recommends g++ binutils \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
RUN python3 -m venv /opt/build \
 && with-build-env /opt/build/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
      pypi-simple structlog rich
COPY integration/__init__.py integration/errors.py /src/integration/
COPY integration/local/ /src/integration/local/
COPY deploy/docker/build_mesos.py /src/
RUN cd /src && with-build-env /opt/build/bin/python build_mesos.py /opt/mesos

FROM ${PARENT}
RUN apt-get update -q && apt-get install -q -y --no-install-recommends libsvn1 libapr1 libsasl2-2 zlib1g \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY --from=build /opt/mesos/ /opt/mesos/
COPY deploy/docker/mesos-entrypoint /usr/local/bin/

ENV LIBPROCESS_PORT=5050 \
    LIBPROCESS_NUM_WORKER_THREADS=4 \
    MESOS_WORK_DIR=/var/lib/mesos \
    MESOS_NUM_SLAVES=0 \
    MESOS_REGISTRY=in_memory \
    WEIR_REGISTRY_FILE=/var/lib/mesos-registry/registry
VOLUME ["/var/lib/mesos", "/var/lib/mesos-registry"]
EXPOSE 5050
ENTRYPOINT ["tini", "-g", "--", "mesos-entrypoint", "mesos-master"]
