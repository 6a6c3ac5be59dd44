// A proxy process and what stands behind it: how both end. Subclasses start them.

export class ProxyBefore {
  /** The NameServer and the broker. */
  cluster;
  proxy;

  get pid() {
    return this.proxy.pid;
  }

  async stop() {
    const end = await this.proxy.terminate();
    await this.cluster.stopGracefully();
    return end;
  }

  async kill9() {
    await this.proxy?.kill9();
    await this.cluster?.kill9();
  }
}
