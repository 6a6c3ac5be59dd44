package skylark.compat;

/** One behaviour seen through the client. It throws when what it saw is not exactly what RocketMQ promises. */
interface Scenario {
    void run(Ctx ctx) throws Exception;
}
