# What workerd serves: the bundled worker, its durable objects' SQLite files under a directory. start.mjs
# gives the directory (--directory-path data=…), the address (--socket-addr http=…) and, by the path of
# this file's copy, the bundle.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "data", disk = (writable = true)),
  ],
  sockets = [(name = "http", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [(name = "worker.mjs", esModule = embed "worker.bundle.mjs")],
  compatibilityDate = "2025-11-01",
  compatibilityFlags = ["nodejs_compat", "enable_request_signal"],
  bindings = [(name = "SYNC_BACKEND", durableObjectNamespace = "SyncBackend")],
  durableObjectNamespaces = [(className = "SyncBackend", uniqueKey = "sync-backend", enableSql = true)],
  durableObjectStorage = (localDisk = "data"),
);
