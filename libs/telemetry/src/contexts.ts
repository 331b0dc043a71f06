import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, type ContextManager, context, propagation, ROOT_CONTEXT } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";

/** The active context follows promises, timers and callbacks. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    work: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => work.call(thisArg, ...args));
  }

  bind<T>(active: Context, target: T): T {
    if (typeof target !== "function") return target;
    return new Proxy(target, {
      apply: (work, self, args) => this.#storage.run(active, () => Reflect.apply(work, self, args)),
    });
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}

let isThere = false;

/** Has contexts followed, and told to other processes as W3C Trace Context has it; once for all services of a process. */
export function followContexts(): void {
  if (isThere) return;
  isThere = true;
  context.setGlobalContextManager(new AsyncContexts());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
}
