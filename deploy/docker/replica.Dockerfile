# One replica of Weir. Settings: WEIR_ZK, WEIR_MASTER, WEIR_STORAGE ... or a file, `run --config /etc/weir/weir.toml`.
ARG PARENT=weir/base:latest
FROM ${PARENT}

# Dependencies first: they change less often than the code, and this layer stays as it is meanwhile.
COPY deploy/docker/dependencies.py pyproject.toml /src/
COPY deploy/http-parser/ /src/deploy/http-parser/
RUN python3 -m venv /opt/weir \
 && python3 /src/dependencies.py /src/pyproject.toml > /src/requirements.txt \
 && with-build-env /opt/weir/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
      'setuptools>=69' wheel /src/deploy/http-parser -r /src/requirements.txt

COPY README.md LICENSE /src/
COPY reconciler/ /src/reconciler/
COPY state/ /src/state/
COPY plugins/ /src/plugins/
COPY integration/ /src/integration/
RUN /opt/weir/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-index --no-deps \
      --no-build-isolation /src \
 && ln -s /opt/weir/bin/weir /usr/local/bin/weir \
 && useradd --system --home-dir /var/lib/weir --create-home weir

USER weir
WORKDIR /var/lib/weir
ENTRYPOINT ["tini", "-g", "--", "weir"]
CMD ["run"]
