/** The promise's outcome, or a rejection once `milliseconds` have passed. A late outcome goes to `late`. */
export function within<T>(promise: Promise<T>, milliseconds: number, late: (value: T) => void = () => {}): Promise<T> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(new Error(`no answer in ${milliseconds} ms`));
    }, milliseconds);
    promise.then(
      (value) => {
        clearTimeout(timer);
        if (isLate) late(value);
        else resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
