# Apache Flink with PyFlink from the Python package index: /opt/flink/SERIES is Flink's home, /opt/pyflink/SERIES/bin/python
# the interpreter that has pyflink. One version per image; agents with several versions build on each other (PARENT).
ARG PARENT=weir/base:latest
FROM ${PARENT}

ARG FLINK_SERIES=2.2
ARG FLINK_VERSION=2.2.1
RUN python3 -m venv /opt/pyflink/${FLINK_SERIES} \
 && with-build-env /opt/pyflink/${FLINK_SERIES}/bin/pip install --quiet --no-cache-dir --no-compile \
      --disable-pip-version-check apache-flink==${FLINK_VERSION} \
 && mkdir -p /opt/flink \
 && ln -s /opt/pyflink/${FLINK_SERIES}/lib/python3*/site-packages/pyflink /opt/flink/${FLINK_SERIES} \
 && test -e /opt/flink/${FLINK_SERIES}/lib/flink-dist-${FLINK_VERSION}.jar \
 && /opt/pyflink/${FLINK_SERIES}/bin/python -c 'import pyflink.version'
