FROM python:3.11-slim
RUN useradd -u 1000 -m appuser && install -d -o appuser -g appuser /var/lib/kafka/data /opt/kafka/config
COPY java /opt/java
COPY jars /opt/kafka/libs
COPY log4j2.properties /opt/kafka/log4j2.properties
COPY kafka-entrypoint.py /usr/local/bin/kafka-entrypoint.py
RUN chmod 755 /usr/local/bin/kafka-entrypoint.py
USER appuser
VOLUME /var/lib/kafka/data
EXPOSE 9092
CMD ["kafka-entrypoint.py"]
