FROM python:3.11-slim
RUN groupadd -g 1000 openbao && useradd -u 100 -g 1000 -d /openbao openbao
COPY bao /usr/bin/bao
RUN chmod 755 /usr/bin/bao
USER openbao
ENTRYPOINT ["bao"]
CMD ["server", "-dev"]
