# A stand-in of Apache RocketMQ's image, from the jars of 5.5.0: the same user, directories and commands, small heaps.
ARG JAVA_IMAGE=eclipse-temurin:17-jdk
FROM ${JAVA_IMAGE}
COPY lib/ /home/rocketmq/rocketmq-5.5.0/lib/
COPY bin/ /home/rocketmq/rocketmq-5.5.0/bin/
# The same settings as the file in Apache's distribution.
COPY conf/ /home/rocketmq/rocketmq-5.5.0/conf/
RUN printf 'rocketmq:x:3000:3000:RocketMQ:/home/rocketmq:/bin/sh\n' >> /etc/passwd && printf 'rocketmq:x:3000:\n' >> /etc/group \
    && mkdir -p /home/rocketmq/store /home/rocketmq/logs && chown -R 3000:3000 /home/rocketmq
ENV ROCKETMQ_HOME=/home/rocketmq/rocketmq-5.5.0 HOME=/home/rocketmq
USER 3000:3000
WORKDIR /home/rocketmq/rocketmq-5.5.0/bin
EXPOSE 9876 10909 10911 10912
