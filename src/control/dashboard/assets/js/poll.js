// What is asked again and again, for as long as somebody looks.

/** What takes long is asked less often: so many times as long as it took goes by before it is asked again. */
const REST = 3;
const jobs = [];
let held = false;

/** Does `work` every so many seconds, or as often as it can be, while the page is seen, and once now. It is never done twice at a time. */
export function every(seconds, work) {
  const job = { timer: 0, busy: false, again: false };
  job.run = async () => {
    clearTimeout(job.timer);
    if (job.busy) {
      job.again = true;
      return;
    }
    job.busy = true;
    const begin = performance.now();
    try {
      await work();
    } catch (error) {
      // Who is refused or not answered is told so at the top of the page.
      if (error.status === undefined) throw error;
    } finally {
      job.busy = false;
      if (!document.hidden && !held) job.timer = setTimeout(job.run, job.again ? 0 : Math.max(seconds * 1000, REST * (performance.now() - begin)));
      job.again = false;
    }
  };
  jobs.push(job);
  job.run();
  return job.run;
}

/** Asks nothing more for now: nobody would be told. */
export function hold() {
  held = true;
  jobs.forEach((job) => clearTimeout(job.timer));
}

/** Does all of it now, and goes on. */
export function all() {
  held = false;
  jobs.forEach((job) => job.run());
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) jobs.forEach((job) => clearTimeout(job.timer));
  else if (!held) all();
});
