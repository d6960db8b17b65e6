// Reads the page of a run that is under way again every five seconds, and puts what it says in place of what is shown.
if (location.protocol !== "file:") {
  const again = setInterval(async () => {
    if (document.hidden) return;
    try {
      const text = await (await fetch(location.href)).text();
      const page = new DOMParser().parseFromString(text, "text/html");
      const main = page.querySelector("main");
      if (!main) return;
      const focused = document.activeElement?.getAttribute("href");
      document.querySelector("main").replaceWith(main);
      if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      if (!page.querySelector("script")) clearInterval(again);
    } catch {
      // The site is away for a moment: asked again.
    }
  }, 5000);
}
