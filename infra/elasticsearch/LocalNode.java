// A single Elasticsearch node for this machine, from Maven Central jars only (no security, no x-pack).
//
//   java -cp 'JARS/lib/*:JARS/classes' -Des.home=JARS LocalNode prepare        once, after the jars came
//   java -cp 'JARS/lib/*:JARS/classes' -Des.home=JARS -Des.state=DIR -Des.port=9200 LocalNode
//
// JARS is only read while the node runs, so several nodes can share it. All that a node writes is under DIR.
import static org.elasticsearch.rest.RestRequest.Method.GET;
import static org.elasticsearch.rest.RestRequest.Method.HEAD;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarFile;
import org.elasticsearch.Build;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestHandler.Route;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;

public class LocalNode {
    public static void main(String[] args) {
        try {
            Path home = Path.of(System.getProperty("es.home")).toAbsolutePath();
            if (args.length > 0 && args[0].equals("prepare")) prepare(home);
            else run(home);
        } catch (Throwable e) { // port or data directory in use, ...: pool threads would keep the JVM alive
            e.printStackTrace();
            System.exit(1);
        }
    }

    /** The plugin's descriptor lies inside its jar. Without "modulename" the plugin loads on a plain class path. */
    private static void prepare(Path home) throws Exception {
        Files.createDirectories(home.resolve("plugins"));
        Path netty = home.resolve("modules/transport-netty4");
        try (var jars = Files.newDirectoryStream(netty, "transport-netty4-*.jar"); var jar = new JarFile(jars.iterator().next().toFile())) {
            Properties p = new Properties();
            try (InputStream in = jar.getInputStream(jar.getEntry("META-INF/es-plugins/transport-netty4/plugin-descriptor.properties"))) { p.load(in); }
            p.remove("modulename");
            try (var out = Files.newOutputStream(netty.resolve("plugin-descriptor.properties"))) { p.store(out, null); }
        }
    }

    private static void run(Path home) throws Exception {
        Path state = Path.of(System.getProperty("es.state")).toAbsolutePath();
        for (String dir : List.of("config", "logs")) Files.createDirectories(state.resolve(dir));
        String port = System.getProperty("es.port", "9200");
        Settings settings = Settings.builder()
            .put("path.home", home).put("path.data", state.resolve("data")).put("path.logs", state.resolve("logs"))
            .put("cluster.name", "afluente-local").put("node.name", "local").put("discovery.type", "single-node")
            .put("http.host", "127.0.0.1").put("http.port", port)
            .put("transport.host", "127.0.0.1").put("transport.port", "0")
            .put("cluster.routing.allocation.disk.threshold_enabled", false) // a laptop's disk is often over 90 % full
            .put("action.destructive_requires_name", true)
            .put("logger.level", System.getProperty("es.log", "WARN"))
            .put("logger.org.elasticsearch.nativeaccess", "ERROR") // no native libraries on Maven Central: plain Java instead
            .build();
        LogConfigurator.configureESLogging();
        LogConfigurator.configureWithoutConfig(settings);
        Environment env = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), state.resolve("config"), () -> "local");
        Node node = new Node(env, PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(env.modulesDir()), PluginsLoader.loadPluginsBundles(env.pluginsDir()), Map.of(), false));
        addRoutes(node);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try { node.prepareForClose(); node.close(); node.awaitClose(10, TimeUnit.SECONDS); } catch (Exception e) { e.printStackTrace(); }
        }));
        node.start();
        System.out.println("Elasticsearch " + Build.current().version() + " at http://127.0.0.1:" + port);
        new CountDownLatch(1).await();
    }

    /** "GET /" (module rest-root) is not on Maven Central: answered from what the node knows of itself. */
    private static void addRoutes(Node node) {
        RestController rest = node.injector().getInstance(RestController.class);
        ClusterService cluster = node.injector().getInstance(ClusterService.class);
        RestHandler root = (request, channel, client) -> {
            Build b = Build.current();
            var json = channel.newBuilder().startObject().field("name", "local").field("cluster_name", cluster.getClusterName().value())
                .field("cluster_uuid", cluster.state().metadata().clusterUUID()).startObject("version")
                .field("number", b.qualifiedVersion()).field("build_flavor", b.flavor()).field("build_type", b.type().displayName())
                .field("build_hash", b.hash()).field("build_date", b.date()).field("build_snapshot", b.isSnapshot())
                .field("lucene_version", org.apache.lucene.util.Version.LATEST.toString())
                .field("minimum_wire_compatibility_version", b.minWireCompatVersion())
                .field("minimum_index_compatibility_version", b.minIndexCompatVersion())
                .endObject().field("tagline", "You Know, for Search").endObject();
            channel.sendResponse(new RestResponse(RestStatus.OK, json));
        };
        rest.registerHandler(new Route(GET, "/"), root);
        rest.registerHandler(new Route(HEAD, "/"), root);
    }
}
