// What somebody would try who got into a page. Runs in the page, as a function's body that page.test.ts calls.
async () => {
  const directives = new Set();
  document.addEventListener("securitypolicyviolation", (event) => directives.add(event.effectiveDirective));
  const put = (name, attributes, text = "") => {
    const element = document.createElement(name);
    element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    document.body.append(element);
    return element;
  };
  put("script", {}, "window.taken = 1");
  put("script", { src: "/metrics" });
  put("img", { src: "http://192.0.2.1/x" });
  put("style", {}, "body { display: none }");
  put("p", { style: "position: fixed" });
  put("iframe", { src: "/" });
  put("base", { href: "http://192.0.2.1/" });
  put("form", { action: "http://192.0.2.1/", method: "post" }).submit();
  await fetch("/status.json").catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 500));
  return { directives: [...directives].sort(), taken: window.taken };
};
