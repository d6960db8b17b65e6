// Reads the page of a run that is under way again every five seconds, and puts what it says in place of what is shown.
if (location.protocol !== "file:") {
  const again = setInterval(async () => {
    if (document.hidden) return;
    try {
      const text = await (await fetch(location.href)).text();
      const page = new DOMParser().parseFromString(text, "text/html");
      const main = page.querySelector("main");
      if (main) document.querySelector("main").replaceWith(main);
      if (main && !page.querySelector("script")) clearInterval(again);
    } catch {
      // The site is away for a moment: asked again.
    }
  }, 5000);
}
