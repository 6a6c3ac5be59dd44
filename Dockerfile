# The image of Skylark: Node, a shell, and the npm package, nothing else. In place of Apache's image it has the same user, the same
# directories and the same commands; see docs/docker.md.
#
#   docker build -t skylark-mq .
#
# Both bases are arguments, for other versions of Node and for machines without a registry.
ARG NODE_IMAGE=node:20-bookworm
ARG SHELL_IMAGE=busybox:1.37-musl

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# The package as users get it, with exactly the dependencies that package-lock.json names.
RUN npm pack --silent \
    && mkdir -p /root-fs/opt/skylark \
    && tar -xzf skylark-mq-*.tgz -C /root-fs/opt/skylark --strip-components=1 \
    && cp package-lock.json /root-fs/opt/skylark/ \
    && cd /root-fs/opt/skylark \
    && npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
    && rm -rf package-lock.json node_modules/@types node_modules/undici-types node_modules/.package-lock.json \
    && find node_modules dist \( -name '*.d.ts' -o -name '*.map' -o -name '*.md' \) -delete \
    && find node_modules -depth -type d \( -name test -o -name tests -o -name docs -o -name benchmarks -o -name examples \) -exec rm -rf {} +
# Node with the shared libraries that it links to, wherever this architecture keeps them. Symbols serve debuggers and native addons; there are none.
RUN node="$(readlink -f "$(command -v node)")" \
    && mkdir -p /root-fs/usr/local/bin \
    && { strip --strip-unneeded -o /root-fs/usr/local/bin/node "$node" || cp "$node" /root-fs/usr/local/bin/node; } \
    && ldd "$node" | grep -o '/[^ ]*' | while read -r library; do \
         mkdir -p "/root-fs$(dirname "$library")" && cp -L "$library" "/root-fs$library"; done \
    && /root-fs/usr/local/bin/node --version
RUN mkdir -p /root-fs/etc /home-fs/rocketmq/store /home-fs/rocketmq/logs /home-fs/rocketmq/rocketmq-5.5.0/bin /home-fs/rocketmq/rocketmq-5.5.0/conf \
    && printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nrocketmq:x:3000:3000:RocketMQ:/home/rocketmq:/bin/sh\n' > /root-fs/etc/passwd \
    && printf 'root:x:0:\nnogroup:x:65534:\nrocketmq:x:3000:\n' > /root-fs/etc/group \
    && printf 'hosts: files dns\n' > /root-fs/etc/nsswitch.conf \
    && cp docker/entrypoint.sh docker/healthcheck.sh /root-fs/usr/local/bin/ \
    && cp docker/broker.conf /home-fs/rocketmq/rocketmq-5.5.0/conf/ \
    && for program in bin/*; do cp docker/command.sh "/home-fs/rocketmq/rocketmq-5.5.0/$program"; done \
    && chmod 755 /root-fs/usr/local/bin/*.sh /home-fs/rocketmq/rocketmq-5.5.0/bin/*

FROM ${SHELL_IMAGE}
COPY --from=build /root-fs/ /
COPY --from=build --chown=3000:3000 /home-fs/ /home/
ENV ROCKETMQ_HOME=/home/rocketmq/rocketmq-5.5.0 HOME=/home/rocketmq NODE_ENV=production \
    PATH=/home/rocketmq/rocketmq-5.5.0/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 3000:3000
WORKDIR /home/rocketmq/rocketmq-5.5.0/bin
# NameServer, broker (fast, ordinary, slaves), gRPC.
EXPOSE 9876 10909 10911 10912 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["healthcheck.sh"]
ENTRYPOINT ["entrypoint.sh"]
CMD ["start"]
