package dev.weir;

import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.highavailability.zookeeper.CuratorFrameworkWithUnhandledErrorListener;
import org.apache.flink.runtime.util.ZooKeeperUtils;
import org.apache.flink.shaded.curator5.org.apache.curator.framework.CuratorFramework;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * Keeps a JobManager that was started beforehand from submitting its job.
 *
 * <p>It runs where the job's own program would run, in an application cluster that is up: the program is called once
 * the node {@code weir-gate} lies beside the cluster's HA data in ZooKeeper. What that node holds, one {@code key=value}
 * a line, becomes part of the cluster's configuration first: the restore point, which nobody knew when this process
 * was started.
 */
public final class Gate {
    private static final String NODE = "/weir-gate";
    private static final long PAUSE_MS = 50;

    private Gate() {}

    /** For a program in a JAR: its entry class, and its arguments. */
    public static void main(String[] args) throws Throwable {
        waitUntilOpen();
        String[] own = new String[args.length - 1];
        System.arraycopy(args, 1, own, 0, own.length);
        ClassLoader jobs = Thread.currentThread().getContextClassLoader();
        try {
            Class.forName(args[0], true, jobs).getMethod("main", String[].class).invoke(null, (Object) own);
        } catch (java.lang.reflect.InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /** Returns when the gate is open and the configuration says from where the job starts. */
    public static void waitUntilOpen() throws Exception {
        Configuration cluster = clusterConfiguration();
        System.out.println("weir: started beforehand; waiting until the generation before this one has ended");
        String told = read(cluster);
        for (String line : told.split("\n")) {
            int at = line.indexOf('=');
            if (at > 0) {
                cluster.setString(line.substring(0, at), line.substring(at + 1));
            }
        }
        System.out.println("weir: the gate is open: " + (told.isEmpty() ? "no restore point" : told.replace('\n', ' ')));
    }

    /** The configuration that every environment of this program is made from. Flink shows only copies of it. */
    private static Configuration clusterConfiguration() throws ReflectiveOperationException {
        Object environment = StreamExecutionEnvironment.getExecutionEnvironment();
        Field field = environment.getClass().getDeclaredField("clusterConfiguration");
        field.setAccessible(true);
        return (Configuration) field.get(environment);
    }

    /** While ZooKeeper does not answer the gate is closed. */
    private static String read(Configuration cluster) throws InterruptedException {
        try (CuratorFrameworkWithUnhandledErrorListener started =
                ZooKeeperUtils.startCuratorFramework(cluster, error -> System.out.println("weir: ZooKeeper: " + error))) {
            CuratorFramework zookeeper = started.asCuratorFramework();
            while (true) {
                try {
                    if (zookeeper.checkExists().forPath(NODE) != null) {
                        return new String(zookeeper.getData().forPath(NODE), StandardCharsets.UTF_8);
                    }
                } catch (InterruptedException e) {
                    throw e;
                } catch (Exception e) {
                    System.out.println("weir: waiting for ZooKeeper: " + e);
                }
                Thread.sleep(PAUSE_MS);
            }
        }
    }
}
