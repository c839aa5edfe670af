# An Apache Mesos agent on which Flink's processes run: the launchers of the master's image, and a Flink.
# A container stands for a machine: when it is killed, everything that it ran is gone.
ARG MESOS=weir/mesos-master:latest
ARG PARENT=weir/flink:latest
FROM ${MESOS} AS mesos

FROM ${PARENT}
RUN apt-get update -q && apt-get install -q -y --no-install-recommends libsvn1 libapr1 libsasl2-2 zlib1g \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY --from=mesos /opt/mesos/ /opt/mesos/
COPY deploy/docker/mesos-entrypoint /usr/local/bin/

ENV LIBPROCESS_PORT=5051 \
    LIBPROCESS_NUM_WORKER_THREADS=4 \
    MESOS_WORK_DIR=/var/lib/mesos \
    MESOS_RUNTIME_DIR=/run/mesos \
    MESOS_FETCHER_CACHE_DIR=/var/cache/mesos \
    MESOS_LAUNCHER_DIR=/opt/mesos/bin \
    MESOS_LAUNCHER=posix \
    MESOS_CONTAINERIZERS=mesos \
    MESOS_ISOLATION=filesystem/posix,posix/cpu,posix/mem \
    MESOS_SYSTEMD_ENABLE_SUPPORT=false \
    MESOS_HTTP_COMMAND_EXECUTOR=true \
    MESOS_SWITCH_USER=false \
    MESOS_REGISTRATION_BACKOFF_FACTOR=100ms \
    MESOS_EXECUTOR_REREGISTRATION_TIMEOUT=3secs \
    MESOS_EXECUTOR_REREGISTRATION_RETRY_INTERVAL=1secs \
    MESOS_RECONFIGURATION_POLICY=additive \
    MESOS_GC_DELAY=1hrs \
    MESOS_DISK_WATCH_INTERVAL=1mins \
    MESOS_RESOURCES="cpus:4;mem:4096;disk:10000;ports:[31000-31199]"
VOLUME /var/lib/mesos
EXPOSE 5051 31000-31199
ENTRYPOINT ["tini", "-g", "--", "mesos-entrypoint", "mesos-agent"]
