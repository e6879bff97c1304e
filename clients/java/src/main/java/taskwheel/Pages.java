package taskwheel;

import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Function;

/**
 * All items of a list, asked for page by page as they are read.
 *
 * @param <P> the answer with a page
 * @param <T> the items
 */
final class Pages<P, T> implements Iterator<T> {
    private final Function<String, P> page;
    private final Function<P, List<T>> items;
    private final Function<P, String> nextToken;
    private Iterator<T> rest = Collections.emptyIterator();
    private String token = "";
    private boolean last;

    /**
     * @param page asks for the page of a token
     * @param items what is on a page
     * @param nextToken the token of the page after it, empty if there is none
     */
    Pages(Function<String, P> page, Function<P, List<T>> items, Function<P, String> nextToken) {
        this.page = page;
        this.items = items;
        this.nextToken = nextToken;
    }

    @Override
    public boolean hasNext() {
        while (!rest.hasNext() && !last) {
            P answer = page.apply(token);
            rest = items.apply(answer).iterator();
            token = nextToken.apply(answer);
            last = token.isEmpty();
        }
        return rest.hasNext();
    }

    @Override
    public T next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        return rest.next();
    }
}
